import Glibc

extension LeafFile {
    /// What a tokenizer is made from.
    public struct TokenizerData: Sendable {
        /// `vocab.txt`, verbatim.
        public let vocabulary: [UInt8]
        /// The segmenter's data, unpacked; nil for CPM-Ant+, which knows no words.
        public let dictionary: [UInt8]?
    }

    /// Reads and checks the tokenizer's bytes.
    ///
    /// - Returns: nil when the file holds none; such a model takes and gives ids only.
    /// - Throws: `.io` when reading fails, `.badInput` when the bytes are not what their digest says.
    public func readTokenizer() throws(LeafError) -> TokenizerData? {
        guard let vocabulary = tensor(LeafMetadata.vocabularyTensor),
            let region = regions.first(where: { ($0.offset..<$0.offset + $0.byteCount).contains(vocabulary.offset) })
        else { return nil }
        let dictionary = tensor(LeafMetadata.dictionaryTensor)
        for tensor in [vocabulary, dictionary].compactMap({ $0 }) {
            guard tensor.offset >= region.offset,
                tensor.offset + tensor.byteCount <= region.offset + region.byteCount
            else { return nil }
        }
        let file = try InputFile(path: path)
        let bytes = try file.bytes(at: region.offset, count: region.byteCount)
        // Nobody will want these pages again, and they count against the budget.
        posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_DONTNEED)
        guard ChunkDigest.of(bytes) == region.digest else {
            throw LeafError(.badInput, "\(path): the tokenizer fails its checksum; convert the checkpoint again")
        }
        func slice(_ tensor: TensorEntry) -> ArraySlice<UInt8> {
            bytes[tensor.offset - region.offset..<tensor.offset - region.offset + tensor.byteCount]
        }
        var words: [UInt8]?
        if let dictionary { words = try unpacked(slice(dictionary)) }
        return TokenizerData(vocabulary: Array(slice(vocabulary)), dictionary: words)
    }

    private func unpacked(_ dictionary: ArraySlice<UInt8>) throws(LeafError) -> [UInt8] {
        guard metadata[LeafMetadata.Key.dictionaryCodec] == ChunkCodec.lz4.rawValue else { return Array(dictionary) }
        // Far beyond any dictionary; a header must not be able to ask for all memory.
        let largest = 256 << 20
        guard let text = metadata[LeafMetadata.Key.dictionaryBytes], let count = Int(text),
            (1...largest).contains(count)
        else {
            throw LeafError(.badInput, "\(path): the dictionary has no sensible size; convert the checkpoint again")
        }
        let room = try AlignedBuffer(count: count)
        let target = UnsafeMutableRawBufferPointer(rebasing: room.bytes[..<count])
        guard dictionary.withUnsafeBytes({ LZ4Codec.decompress($0, into: target) }) else {
            throw LeafError(.badInput, "\(path): the dictionary does not unpack; convert the checkpoint again")
        }
        return Array(target)
    }
}
