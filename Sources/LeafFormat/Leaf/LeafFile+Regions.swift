package import LeafSystem

extension LeafFile {
    /// Reads a region from its first byte to its last, a buffer at a time, and checks its digest.
    ///
    /// - Parameters:
    ///   - buffer: not empty.
    ///   - read: fills a buffer with the bytes at an offset of the file.
    ///   - use: is handed each piece and its offset in the file; nobody vouches for the bytes before this returns.
    /// - Throws: `.badInput` naming the region and its first tensors, and what `read` throws.
    package func read(
        _ region: Region, through buffer: UnsafeMutableRawBufferPointer,
        from read: (Int, UnsafeMutableRawBufferPointer) throws(LeafError) -> Void,
        use: (Int, UnsafeRawBufferPointer) -> Void = { _, _ in }
    ) throws(LeafError) {
        var digest = try ChunkDigest()
        let end = region.offset + region.byteCount
        for offset in stride(from: region.offset, to: end, by: buffer.count) {
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, end - offset)])
            try read(offset, piece)
            digest.update(UnsafeRawBufferPointer(piece))
            use(offset, UnsafeRawBufferPointer(piece))
        }
        guard digest.value == region.digest else {
            let names = tensors.filter { (region.offset..<end).contains($0.offset) && !$0.name.hasPrefix("pad.") }
                .map(\.name)
            throw LeafError(
                .badInput,
                "\(path): the \(region.name) region at offset \(region.offset) (\(names.listed(atMost: 3))) "
                    + "fails its checksum; \(remedy)")
        }
    }

    /// Checks the digest of a region.
    package func verify(_ region: Region, in input: InputFile) throws(LeafError) {
        let buffer = try PageMemory(count: Self.regionBufferBytes)
        try read(
            region, through: buffer.bytes,
            from: { (offset, target) throws(LeafError) in try input.read(at: offset, into: target) })
    }

    /// What a region is read through where nobody says otherwise.
    static let regionBufferBytes = 256 << 10
}
