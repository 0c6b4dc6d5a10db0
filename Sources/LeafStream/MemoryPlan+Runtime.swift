extension MemoryPlan {
    /// Bytes of everything that the plan does not count by part: executable, libraries, stacks, allocator, and
    /// up to 32 threads.
    ///
    /// Measured with a program that opens the demo model and generates with two threads, less the tokenizer and the
    /// other parts of the plan, after `leaf_limit_malloc(2)` (which saves 0.7 MiB):
    ///
    /// | | resident (`VmHWM`) | charged to a memory cgroup, nothing cached before |
    /// | --- | --- | --- |
    /// | static Swift libraries | 11.8 MiB | 22 MiB |
    /// | dynamic Swift libraries | 16.1 MiB | 26 MiB |
    ///
    /// The charge is higher because a cold start reads the files of the executable and the libraries ahead into the
    /// page cache. The kernel can reclaim that but counts it. The program linked libzip when this was measured: up to
    /// 2 MiB more than today. Each further thread costs 75 KiB with its kernel stack. Buffered reading keeps up to
    /// 1 MiB in the page cache.
    public static let runtimeBytes = 28 << 20

    /// Bytes of page tables: eight for each page of 4096. A huge page reserves as much, in case it has to be split.
    /// `VmHWM` does not count page tables, the memory cgroup does: 22 MiB at 11 GiB.
    static func pageTableBytes(for bytes: Int) -> Int { bytes / 512 + (bytes % 512 == 0 ? 0 : 1) }

    /// The most bytes that fit into a budget together with their page tables.
    static func mappable(_ budget: Int) -> Int { budget - budget / 513 - (budget % 513 == 0 ? 0 : 1) }
}
