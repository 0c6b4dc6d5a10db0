package import LeafSystem

extension LeafWriter {
    /// The contents of the file besides the weights.
    package struct Contents: Sendable {
        /// Of a configuration within its limits.
        package var shape: FileShape
        package var weights: WeightFormat
        /// `vocab.txt`, unchanged; nil for a model that takes only ids.
        package var vocabulary: [UInt8]?
        /// The segmenter's data; nil for none.
        package var dictionary: [UInt8]?
        /// Strings for the header, such as `source` and `software`, except the writer's own keys.
        package var metadata: [(String, String)]

        package init(
            shape: FileShape, weights: WeightFormat, vocabulary: [UInt8]? = nil,
            dictionary: [UInt8]? = nil, metadata: [(String, String)] = []
        ) {
            self.shape = shape
            self.weights = weights
            self.vocabulary = vocabulary
            self.dictionary = dictionary
            self.metadata = metadata
        }
    }

    package struct Options: Sendable {
        /// Whether to replace an existing file.
        package var replacesExisting = false
        /// Whether to continue an interrupted run with the same contents.
        package var resumes = true
        /// A value that changes when the source's files change, even if the weights do not. It does not matter once
        /// they are consumed.
        package var stamp = ""
        /// Whether the source was partly consumed already, so that only the run that consumed it can continue.
        package var needsConsumedSource = false
        /// `freedBytes[b]`: disk space that deleting the source of block `b` gives back to the target's disk. Empty if
        /// nothing is deleted.
        package var freedBytes: [Int] = []
        /// Whether to pack chunks if that saves space. A file that is made for reading tests keeps every byte.
        package var packsChunks = true
        package var calls = WriteCalls()

        package init() {}
    }

    /// How a run began.
    package enum Start: Sendable, Equatable {
        case fresh
        /// This many blocks were there already.
        case resumed(blocks: Int)
        /// An unfinished file with other contents was discarded.
        case discarded
    }
}

extension LeafWriter.Contents {
    /// The same with the dictionary as it is stored: packed if that saves enough.
    func packed() throws(LeafError) -> Self {
        guard let dictionary else { return self }
        var contents = self
        let packed = try Self.pack(dictionary)
        contents.dictionary = packed ?? dictionary
        contents.metadata += [
            (LeafMetadata.Key.dictionaryCodec, (packed == nil ? ChunkCodec.raw : .lz4).rawValue),
            (LeafMetadata.Key.dictionaryBytes, "\(dictionary.count)"),
        ]
        return contents
    }

    /// Returns nil if packing does not save enough.
    private static func pack(_ dictionary: [UInt8]) throws(LeafError) -> [UInt8]? {
        guard !dictionary.isEmpty else { return nil }
        let room = try PageMemory(count: dictionary.count)
        return dictionary.withUnsafeBytes { LZ4Codec.compress($0, into: room.bytes) }.map { Array(room.bytes[0..<$0]) }
    }

    /// Tells contents apart that would make other bytes.
    ///
    /// - Parameter fingerprint: what else decides the bytes.
    func identity(_ fingerprint: String) -> UInt64 {
        var text = [fingerprint, shape.configuration, weights.rawValue]
        text += metadata.map { "\($0)=\($1)" }
        text += [vocabulary, dictionary].map { $0.map { ChunkDigest.of($0).hexDigits } ?? "none" }
        return ChunkDigest.of(Array(text.joined(separator: "\u{0}").utf8))
    }
}
