import LeafSystem

/// How a disk is read: the number of requests in flight, and the bytes of each.
package struct RequestShape: Sendable, Equatable {
    package let bytes: Int
    package let depth: Int

    package init(bytes: Int, depth: Int) {
        self.bytes = bytes
        self.depth = depth
    }

    /// The shape for the memory of this system (Benchmarks/RESULTS.md, "The disk, and pages").
    ///
    /// With huge pages, four requests of 1 MiB. Each is one piece of memory, and large requests cost a third of the
    /// processor time of small ones. A virtual disk is as fast with one request as with 64, and the fewer bytes are in
    /// flight, the more of them caches still hold when they are used. A disk of 4 GB/s reads 4 MiB in a millisecond,
    /// which is longer than SATA, NVMe or a network volume needs to answer. The kernel splits the requests into the
    /// smaller commands that a disk needs.
    ///
    /// With ordinary pages, which a virtual disk handles one by one, 32 requests of 256 KiB. io_uring was as fast as
    /// the same number of threads in pread.
    package static func suited(hasHugePages: Bool = KernelFeatures.hasHugePages()) -> RequestShape {
        hasHugePages ? RequestShape(bytes: 1 << 20, depth: 4) : RequestShape(bytes: 256 << 10, depth: 32)
    }
}
