import LeafSystem

/// A chunk in the form of the file: packed if that saves space, padded with zeros to whole pages.
package struct PackedChunk {
    /// Begins at a page. Valid as long as the buffers that it was made in.
    let bytes: UnsafeRawBufferPointer
    let record: LeafMetadata.ChunkRecord

    /// Bytes of `room`, for the largest chunk.
    package static let roomBytes = ChunkGeometry.maximumBytes

    /// - Parameters:
    ///   - bytes: whole tiles or outputs, as `ChunkGeometry` divides them.
    ///   - packs: whether to try to pack.
    ///   - room: whole pages for a chunk that cannot stay where it is.
    package init(
        _ bytes: UnsafeRawBufferPointer, outputCount: Int, packs: Bool, room: UnsafeMutableRawBufferPointer
    ) {
        precondition(!bytes.isEmpty && bytes.count <= Self.roomBytes && room.count >= Self.roomBytes)
        let packed = packs ? LZ4Codec.compress(bytes, into: room) : nil
        let storedBytes = packed ?? bytes.count
        let paddedBytes = storedBytes.roundedUp(to: ChunkGeometry.alignment)
        let isPage = storedBytes == paddedBytes && Int(bitPattern: bytes.baseAddress) % ChunkGeometry.alignment == 0
        if packed == nil, isPage {
            self.bytes = bytes
        } else {
            if packed == nil { room.copyMemory(from: bytes) }
            UnsafeMutableRawBufferPointer(rebasing: room[storedBytes..<paddedBytes])
                .initializeMemory(as: UInt8.self, repeating: 0)
            self.bytes = UnsafeRawBufferPointer(rebasing: room[0..<paddedBytes])
        }
        record = LeafMetadata.ChunkRecord(
            outputCount: outputCount, storedBytes: storedBytes, codec: packed == nil ? .raw : .lz4,
            digest: ChunkDigest.of(self.bytes))
    }
}
