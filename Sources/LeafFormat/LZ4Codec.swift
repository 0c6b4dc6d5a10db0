import CLZ4

/// LZ4 blocks (not frames): a chunk or the tokenizer's dictionary, whose unpacked size is known from the header.
package enum LZ4Codec {
    /// What a block must save to be stored packed: a tenth.
    private static func pays(_ packed: Int, _ raw: Int) -> Bool { packed <= raw - (raw + 9) / 10 }

    /// Packs `source` into `target` if that saves a tenth.
    ///
    /// The quick packer decides, so that dense weights cost little; what shrinks is packed again by the slow one, which
    /// the reader does not notice. Its lowest level: on widened float16 weights the usual one takes eight times as long
    /// (13 MB a second) to save another eighth.
    /// - Parameters:
    ///   - target: room of at least `source.count` bytes.
    ///   - isQuick: whether the quick packer has the last word too.
    /// - Returns: packed bytes at the start of `target`, or nil if the bytes are better stored raw.
    package static func compress(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer, isQuick: Bool = false
    ) -> Int? {
        guard source.count > 0, source.count <= Int(LZ4_MAX_INPUT_SIZE) else { return nil }
        let from = source.baseAddress!.assumingMemoryBound(to: CChar.self)
        let to = target.baseAddress!.assumingMemoryBound(to: CChar.self)
        let room = Int32(min(target.count, source.count))
        let quick = Int(LZ4_compress_default(from, to, Int32(source.count), room))
        guard quick > 0, pays(quick, source.count) else { return nil }
        if isQuick { return quick }
        let small = Int(LZ4_compress_HC(from, to, Int32(source.count), room, LZ4HC_CLEVEL_MIN))
        guard small > 0, pays(small, source.count) else { return nil }
        return small
    }

    /// Unpacks a block that may be hostile.
    ///
    /// The two may overlap if the block lies at the end of the buffer and `inPlaceRoom` bytes are there: the writing end
    /// never overtakes the reading end of an honest block, and of no block does LZ4 leave either range.
    /// - Returns: whether it gave exactly `target.count` bytes.
    package static func decompress(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard source.count > 0, source.count <= Int(Int32.max), target.count <= Int(LZ4_MAX_INPUT_SIZE) else {
            return false
        }
        let count = LZ4_decompress_safe(
            source.baseAddress!.assumingMemoryBound(to: CChar.self),
            target.baseAddress!.assumingMemoryBound(to: CChar.self),
            Int32(source.count), Int32(target.count))
        return Int(count) == target.count
    }

    /// Bytes from the start of the unpacked data to the end of the packed data, for unpacking in place
    /// (LZ4_DECOMPRESS_INPLACE_BUFFER_SIZE of lz4.h).
    package static func inPlaceRoom(rawBytes: Int) -> Int { rawBytes + (rawBytes >> 8) + 32 }
}
