extension Chunk {
    /// Bytes of the page-aligned buffer that takes this chunk: its padded bytes are read to `storedAt`, up to the end, and
    /// are unpacked from there to the start. `paddedBytes` for a raw chunk. A multiple of 4096.
    public var slotBytes: Int {
        switch codec {
        case .raw: paddedBytes
        case .lz4: (LZ4Codec.inPlaceRoom(rawBytes: rawBytes) + paddedBytes - storedBytes).roundedUp(to: 4096)
        }
    }

    /// Where in a buffer of `slotBytes` the file's `paddedBytes` are to be read: so that they end with it.
    public var storedAt: Int { slotBytes - paddedBytes }

    /// Checks the digest of what was read to `storedAt` and unpacks it to the start of the buffer.
    ///
    /// - Parameter slot: at least `slotBytes` bytes; what lies beyond them is not touched.
    /// - Returns: the first `rawBytes` of `slot`: whole rows or tiles.
    /// - Throws: `.badInput` naming rows and offset; `LeafFile.verifyAndUnpack` names the block as well.
    public func verifyAndUnpack(in slot: UnsafeMutableRawBufferPointer) throws(LeafError) -> UnsafeRawBufferPointer {
        precondition(slot.count >= slotBytes)
        let padded = UnsafeRawBufferPointer(rebasing: slot[storedAt..<slotBytes])
        guard ChunkDigest.of(padded) == digest else {
            throw LeafError(.badInput, "\(place) fails its checksum; convert the checkpoint again")
        }
        let raw = UnsafeMutableRawBufferPointer(rebasing: slot[0..<rawBytes])
        if codec == .lz4 {
            guard LZ4Codec.decompress(UnsafeRawBufferPointer(rebasing: padded[0..<storedBytes]), into: raw) else {
                throw LeafError(.badInput, "\(place) does not unpack to its size; convert the checkpoint again")
            }
        }
        return UnsafeRawBufferPointer(raw)
    }

    private var place: String {
        "the chunk at offset \(offset) (outputs \(firstOutput)..<\(firstOutput + outputCount))"
    }
}

extension LeafFile {
    /// `Chunk.verifyAndUnpack` with an error that names file, block and matrix.
    public func verifyAndUnpack(
        _ chunk: Int, in slot: UnsafeMutableRawBufferPointer
    ) throws(LeafError) -> UnsafeRawBufferPointer {
        do {
            return try chunks[chunk].verifyAndUnpack(in: slot)
        } catch {
            throw LeafError(error.kind, "\(path): \(blockName(ofChunk: chunk)): \(error.description)")
        }
    }

    /// Such as `block 17 (layer 8, feed-forward), encoder.layers.8.ffn.ffn.w_out.weight`.
    public func blockName(ofChunk chunk: Int) -> String {
        guard let block = blocks.firstIndex(where: { $0.chunks.contains(chunk) }) else { return "chunk \(chunk)" }
        return "block \(block) (\(blocks[block].name)), \(matrices[chunks[chunk].matrix].name)"
    }
}
