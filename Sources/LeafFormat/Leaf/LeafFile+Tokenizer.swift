public import LeafSystem

extension LeafFile {
    /// The data from which a tokenizer is made.
    public struct TokenizerData: Sendable {
        /// `vocab.txt`, unchanged.
        public let vocabulary: [UInt8]
        /// The segmenter's data, unpacked; nil for CPM-Ant+, which does not cut texts into words.
        public let dictionary: [UInt8]?
    }

    /// Bytes of a tokenizer's data.
    public struct TokenizerSizes: Sendable, Equatable {
        public let vocabulary: Int
        /// As it lies in the file, packed or not; 0 without one.
        public let storedDictionary: Int
        /// Unpacked; 0 without one.
        public let dictionary: Int

        /// Bytes on the heap while the data are read: packed and unpacked, and a buffer.
        package var readingBytes: Int {
            vocabulary +| storedDictionary +| dictionary +| LeafFile.regionBufferBytes
        }
    }

    /// The largest vocabulary; that of CPM-Ant+ has one million bytes.
    public static let maximumVocabularyBytes = 8 << 20
    /// The largest dictionary, unpacked; jieba's has 1.5 million bytes.
    public static let maximumDictionaryBytes = 16 << 20

    /// How large the tokenizer's data are; nil when the file holds none.
    public var tokenizerSizes: TokenizerSizes? {
        guard let vocabulary = tensor(LeafMetadata.vocabularyTensor) else { return nil }
        let stored = tensor(LeafMetadata.dictionaryTensor)?.byteCount ?? 0
        let unpacked = metadata[LeafMetadata.Key.dictionaryBytes].flatMap { Int(digits: $0.utf8) } ?? 0
        return TokenizerSizes(
            vocabulary: vocabulary.byteCount, storedDictionary: stored,
            dictionary: packsDictionary ? unpacked : stored)
    }

    private var packsDictionary: Bool {
        tensor(LeafMetadata.dictionaryTensor) != nil
            && metadata[LeafMetadata.Key.dictionaryCodec] == ChunkCodec.lz4.rawValue
    }

    /// Reads and checks the tokenizer's bytes.
    ///
    /// - Returns: nil if the file has none; such a model takes and gives only ids.
    /// - Throws: `.io` if reading fails, `.badInput` if the digest of the bytes is wrong.
    public func readTokenizer() throws(LeafError) -> TokenizerData? {
        guard let sizes = tokenizerSizes, let vocabulary = tensor(LeafMetadata.vocabularyTensor),
            let region = regions.first(where: { $0.range.contains(vocabulary.offset) })
        else { return nil }
        let dictionary = tensor(LeafMetadata.dictionaryTensor)
        let wanted = [vocabulary, dictionary].compactMap { $0?.range }
        guard
            wanted.allSatisfy({ region.range.lowerBound <= $0.lowerBound && $0.upperBound <= region.range.upperBound })
        else { return nil }
        let input = try InputFile(path: path)
        var parts = wanted.map { [UInt8](repeating: 0, count: $0.count) }
        let buffer = try PageMemory(count: Self.regionBufferBytes)
        try read(
            region, through: buffer.bytes,
            from: { (offset, target) throws(LeafError) in try input.read(at: offset, into: target) },
            use: { offset, piece in
                for (index, range) in wanted.enumerated() {
                    let overlap = range.clamped(to: offset..<offset + piece.count)
                    if overlap.isEmpty { continue }
                    parts[index].withUnsafeMutableBytes {
                        UnsafeMutableRawBufferPointer(rebasing: $0[(overlap.lowerBound - range.lowerBound)...])
                            .copyBytes(from: piece[overlap.lowerBound - offset..<overlap.upperBound - offset])
                    }
                }
            })
        // These pages are not needed again, and they count against the budget.
        input.dropCache(at: region.offset, count: region.byteCount)
        let words: [UInt8]? =
            if dictionary == nil { nil } else if packsDictionary {
                try unpacked(parts[1], count: sizes.dictionary)
            } else { parts[1] }
        return TokenizerData(vocabulary: parts[0], dictionary: words)
    }

    private func unpacked(_ dictionary: [UInt8], count: Int) throws(LeafError) -> [UInt8] {
        var isWhole = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
            let room = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(target)[..<count])
            isWhole = dictionary.withUnsafeBytes { LZ4Codec.decompress($0, into: room) }
            initialized = isWhole ? count : 0
        }
        guard isWhole else {
            throw LeafError(.badInput, "\(path): the dictionary does not unpack; \(remedy)")
        }
        return bytes
    }
}

extension Region {
    /// In bytes of the file.
    var range: Range<Int> { offset..<offset + byteCount }
}

extension TensorEntry {
    /// In bytes of the file.
    var range: Range<Int> { offset..<offset + byteCount }
}
