extension MemoryPlan {
    /// Bytes of everything that is not planned by part: executable, libraries, stacks, allocator, header, and up to 32
    /// threads.
    ///
    /// Measured with a program that opens the demo model and generates, two threads, tokenizer and other parts of the plan
    /// taken off, after `leaf_limit_malloc()` (which saves 0.7 MiB):
    ///
    /// | | resident (`VmHWM`) | charged to a memory cgroup, nothing cached before |
    /// | --- | --- | --- |
    /// | static Swift libraries | 11.8 MiB | 22 MiB |
    /// | dynamic Swift libraries | 16.1 MiB | 26 MiB |
    ///
    /// The charge is higher since a cold start reads the executable's and the libraries' files ahead into the page cache,
    /// which the kernel can take back but counts. libzip brings libcrypto, libstdc++, bzip2 and zlib, 2 MiB resident.
    /// A further thread costs 75 KiB with its kernel stack. Buffered reading keeps up to 1 MiB in the page cache.
    public static let runtimeBytes = 28 << 20

    /// Eight bytes for each page of 4096; a huge page sets the same aside in case that it has to be split. `VmHWM` does not
    /// count them, the memory cgroup does: 22 MiB at 11 GiB.
    static func pageTableBytes(for bytes: Int) -> Int { bytes / 512 + (bytes % 512 == 0 ? 0 : 1) }

    /// The most bytes that fit into a budget together with their page tables.
    static func mappable(_ budget: Int) -> Int { budget - budget / 513 - (budget % 513 == 0 ? 0 : 1) }
}
