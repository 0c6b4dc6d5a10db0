import CLZ4

/// LZ4 blocks (not frames), for chunks and the tokenizer's dictionary. The header tells their unpacked size.
package enum LZ4Codec {
    /// A block is stored packed if that saves at least a tenth.
    private static func pays(_ packed: Int, _ raw: Int) -> Bool { packed <= raw - (raw + 9) / 10 }

    /// Packs `source` into `target` if that saves a tenth.
    ///
    /// A quick packer decides, so that dense weights cost little time. If it succeeds, the slow packer packs the block
    /// again; readers see no difference. The slow packer uses its lowest level: on float16 weights widened to float32
    /// the usual level takes eight times as long (13 MB per second) and saves another eighth.
    /// - Parameters:
    ///   - target: at least `source.count` bytes.
    ///   - isQuick: true to keep the result of the quick packer.
    /// - Returns: the packed bytes at the start of `target`; nil if the bytes should be stored raw.
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

    /// Unpacks a block, which may be hostile.
    ///
    /// Source and target may overlap if the block lies at the end of the buffer and `inPlaceRoom` bytes are available.
    /// For a valid block, writing never overtakes reading. For any block, LZ4 stays inside both ranges.
    /// - Returns: whether the block gave exactly `target.count` bytes.
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
