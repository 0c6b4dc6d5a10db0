/// How a disk is asked: so many requests in flight, of so many bytes.
public struct RequestShape: Sendable, Equatable {
    public let bytes: Int
    public let depth: Int

    package init(bytes: Int, depth: Int) {
        self.bytes = bytes
        self.depth = depth
    }

    /// What suits this system's memory (Benchmarks/RESULTS.md, "The disk, and pages").
    ///
    /// In huge pages four requests of 1 MiB: each is one piece of memory, and large ones cost the processor a third of small
    /// ones. A virtual disk is as fast with one as with 64, and the fewer bytes are on their way the more of them caches
    /// still hold when they are used. 4 MiB is what a disk of 4 GB/s brings in a millisecond, longer than SATA, NVMe or a
    /// volume in a network takes to answer; the kernel makes of them the smaller commands that a disk wants.
    ///
    /// In ordinary pages, which a virtual disk takes one by one, 32 requests of 256 KiB. io_uring gave what as many threads
    /// in pread give.
    public static func suited(hasHugePages: Bool = KernelFeatures.hasHugePages()) -> RequestShape {
        hasHugePages ? RequestShape(bytes: 1 << 20, depth: 4) : RequestShape(bytes: 256 << 10, depth: 32)
    }
}
