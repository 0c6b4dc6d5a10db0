import LeafSystem

/// The strings of a `.leaf` header: their names, and the compact tables of regions and chunks.
package enum LeafMetadata {
    package static let format = "leafcutter"
    /// The newest version that this program reads. It is raised when an older reader would misread the file.
    package static let version = 4

    /// The tokenizer's data.
    package static let vocabularyTensor = "tokenizer.vocabulary"
    package static let dictionaryTensor = "tokenizer.dictionary"

    /// The metadata begin with this and sixteen digits: the XXH3-64 of the JSON and its padding, computed with zeros in
    /// place of these digits. So a digest protects the header as well.
    package static let digestPrefix = Array("{\"__metadata__\":{\"digest\":\"".utf8)

    package enum Key {
        package static let digest = "digest"
        package static let format = "format"
        package static let version = "version"
        package static let software = "software"
        package static let configuration = "configuration"
        package static let weights = "weights"
        package static let regions = "regions"
        package static let chunks = "chunks"
        package static let source = "source"
        /// Digest and weights of the model file that this one is a copy of, with other weights.
        package static let copiedModel = "source.model"
        /// The text that codes were chosen by: its tokens, and a digest of them.
        package static let calibration = "source.calibration"
        /// The XXH3-64 of the blocks' source digests (little-endian). A block's is of the checkpoint's numbers that it
        /// was made from.
        package static let sourceDigest = "source.digest"
        package static let dictionaryCodec = "tokenizer.dictionary.codec"
        package static let dictionaryBytes = "tokenizer.dictionary.bytes"
    }

    /// One chunk as the table has it; its offset and its outputs follow from those before it.
    package struct ChunkRecord: Sendable, Equatable {
        package var outputCount: Int
        package var storedBytes: Int
        package var codec: ChunkCodec
        package var digest: UInt64

        package init(outputCount: Int, storedBytes: Int, codec: ChunkCodec, digest: UInt64) {
            self.outputCount = outputCount
            self.storedBytes = storedBytes
            self.codec = codec
            self.digest = digest
        }

        package var paddedBytes: Int { storedBytes.roundedUp(to: ChunkGeometry.alignment) }
        package var text: String { "\(outputCount):\(storedBytes):\(codec.rawValue):\(digest.hexDigits)" }

        package init?(text: some Collection<UInt8>) {
            let fields = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count == 4, let outputCount = Int(digits: fields[0]), let storedBytes = Int(digits: fields[1]),
                let codec = ChunkCodec(text: fields[2]), let digest = UInt64(hexDigits: fields[3])
            else { return nil }
            self.init(outputCount: outputCount, storedBytes: storedBytes, codec: codec, digest: digest)
        }
    }

    /// `name=chunk,chunk;name=chunk;...`, with matrices in sweep order.
    package static func chunkTable(_ matrices: [(name: String, chunks: [ChunkRecord])]) -> String {
        matrices.map { "\($0.name)=\($0.chunks.map(\.text).joined(separator: ","))" }.joined(separator: ";")
    }

    package static func parseChunkTable(_ text: String) -> [(name: String, chunks: [ChunkRecord])]? {
        var matrices: [(name: String, chunks: [ChunkRecord])] = []
        for matrix in Array(text.utf8).split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false) {
            guard let equals = matrix.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            var chunks: [ChunkRecord] = []
            let list = matrix[(equals + 1)...]
            for record in list.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
                guard let chunk = ChunkRecord(text: record) else { return nil }
                chunks.append(chunk)
            }
            matrices.append((String(decoding: matrix[..<equals], as: UTF8.self), chunks))
        }
        return matrices
    }

    /// `name=bytes:digest;...`. The first region begins where the data begin, each next one where the one before it
    /// ends.
    package static func regionTable(_ regions: [Region]) -> String {
        regions.map { "\($0.name)=\($0.byteCount):\($0.digest.hexDigits)" }.joined(separator: ";")
    }

    package static func parseRegionTable(_ text: String, dataOffset: Int) -> [Region]? {
        var regions: [Region] = []
        var offset = dataOffset
        for region in Array(text.utf8).split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false) {
            guard let equals = region.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            let fields = region[(equals + 1)...].split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count == 2, let count = Int(digits: fields[0]), let digest = UInt64(hexDigits: fields[1]),
                let end = offset.adding(count)
            else { return nil }
            let name = String(decoding: region[..<equals], as: UTF8.self)
            regions.append(Region(name: name, offset: offset, byteCount: count, digest: digest))
            offset = end
        }
        return regions
    }
}

extension Int {
    /// Parses one to eighteen decimal digits, and nothing else.
    package init?(digits text: some Collection<UInt8>) {
        guard (1...18).contains(text.count) else { return nil }
        var value = 0
        for character in text {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(character) else { return nil }
            value = value * 10 + Int(character - UInt8(ascii: "0"))
        }
        self = value
    }
}

extension ChunkCodec {
    fileprivate init?(text: some Collection<UInt8>) {
        guard let codec = ChunkCodec(rawValue: String(decoding: text, as: UTF8.self)) else { return nil }
        self = codec
    }
}
