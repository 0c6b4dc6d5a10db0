public import LeafSystem

extension Chunk {
    /// Bytes of the page-aligned buffer for this chunk, a multiple of 4096. A reader reads the padded bytes to
    /// `storedAt`, which ends with the buffer, and unpacks them to the start. It is `paddedBytes` for a raw chunk.
    package var slotBytes: Int {
        switch codec {
        case .raw: paddedBytes
        case .lz4: (LZ4Codec.inPlaceRoom(rawBytes: rawBytes) + paddedBytes - storedBytes).roundedUp(to: 4096)
        }
    }

    /// The offset in a buffer of `slotBytes` where the file's `paddedBytes` must be read to, so that they end with the
    /// buffer.
    package var storedAt: Int { slotBytes - paddedBytes }

    /// Checks the digest of the bytes at `storedAt` and unpacks them to the start of the buffer.
    ///
    /// - Parameter slot: at least `slotBytes` bytes; bytes beyond those are not touched.
    /// - Returns: the first `rawBytes` of `slot`: whole tiles, or whole outputs of a float matrix.
    /// - Throws: `.badInput` naming rows and offset. `LeafFile.verifyAndUnpack` also names the block, and what to do.
    package func verifyAndUnpack(in slot: UnsafeMutableRawBufferPointer) throws(LeafError) -> UnsafeRawBufferPointer {
        precondition(slot.count >= slotBytes)
        let padded = UnsafeRawBufferPointer(rebasing: slot[storedAt..<slotBytes])
        guard ChunkDigest.of(padded) == digest else {
            throw LeafError(.badInput, "\(label) fails its checksum")
        }
        let raw = UnsafeMutableRawBufferPointer(rebasing: slot[0..<rawBytes])
        if codec == .lz4 {
            guard LZ4Codec.decompress(UnsafeRawBufferPointer(rebasing: padded[0..<storedBytes]), into: raw) else {
                throw LeafError(.badInput, "\(label) does not unpack to its size")
            }
        }
        return UnsafeRawBufferPointer(raw)
    }

    private var label: String {
        "the chunk at offset \(offset) (outputs \(firstOutput)..<\(firstOutput + outputCount))"
    }
}

extension LeafFile {
    /// Calls `Chunk.verifyAndUnpack`, with an error that names file, block and matrix, and what to do.
    public func verifyAndUnpack(
        _ chunk: Int, in slot: UnsafeMutableRawBufferPointer
    ) throws(LeafError) -> UnsafeRawBufferPointer {
        do {
            return try chunks[chunk].verifyAndUnpack(in: slot)
        } catch {
            throw LeafError(error.kind, "\(path): \(blockName(ofChunk: chunk)): \(error.description); \(remedy)")
        }
    }

    /// The name of a chunk's block, such as `block 17 (layer 8, feed-forward), encoder.layers.8.ffn.ffn.w_out.weight`.
    public func blockName(ofChunk chunk: Int) -> String {
        guard let block = blocks.firstIndex(where: { $0.chunks.contains(chunk) }) else { return "chunk \(chunk)" }
        return "block \(block) (\(blocks[block].name)), \(matrices[chunks[chunk].matrix].name)"
    }
}
