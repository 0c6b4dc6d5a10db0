package import LeafSystem

/// Where everything in a new model file will lie, as far as that is known before its weights are.
///
/// Depends on the model's shape, the format and the sizes of the tokenizer's data alone, so that an interrupted writing
/// can be taken up again.
package struct LeafLayout: Sendable {
    package let weights: WeightFormat
    package let shape: FileShape
    /// Tensors of the resident and tokenizer regions, and the padding between them; offsets are from the start of the
    /// file.
    package let tensors: [TensorEntry]
    /// Name, offset and size of the resident region, and of the tokenizer region if there is one.
    package let regions: [(name: String, offset: Int, byteCount: Int)]
    package let dataOffset: Int
    /// Bytes of the file if no chunk is packed.
    package let maximumFileBytes: Int
    private let metadata: [(String, String)]
    private let tensorsByName: [String: TensorEntry]

    /// Resident tensors begin at a multiple of this, so that kernels can use them in place.
    private static let tensorAlignment = 64

    /// - Parameters:
    ///   - shape: of a configuration within its limits.
    ///   - vocabularyBytes: the size of the stored `tokenizer.vocabulary`; nil if there is none.
    ///   - dictionaryBytes: the size of the stored `tokenizer.dictionary`; nil if there is none.
    ///   - metadata: strings for the header, besides those that the writer makes.
    package init(
        shape: FileShape, weights: WeightFormat, vocabularyBytes: Int?, dictionaryBytes: Int?,
        metadata: [(String, String)]
    ) {
        self.shape = shape
        self.weights = weights
        self.metadata = metadata

        var packer = Packer()
        for tensor in shape.residentTensors { packer.append(tensor.name, tensor.type, tensor.shape) }
        packer.align(to: ChunkGeometry.alignment)
        var sizes = [("resident", packer.end)]
        if let vocabularyBytes { packer.append(LeafMetadata.vocabularyTensor, .u8, [vocabularyBytes]) }
        if let dictionaryBytes { packer.append(LeafMetadata.dictionaryTensor, .u8, [dictionaryBytes]) }
        packer.align(to: ChunkGeometry.alignment)
        if packer.end > sizes[0].1 { sizes.append(("tokenizer", packer.end - sizes[0].1)) }

        // The longest possible header: every chunk is a tensor of its own, with padding after each.
        let geometries = shape.matrices.map { ChunkGeometry($0) }
        let records = geometries.map { geometry in
            (0..<geometry.chunkCount).map { index in
                let outputs = geometry.outputs(ofChunk: index).count
                return LeafMetadata.ChunkRecord(
                    outputCount: outputs, storedBytes: geometry.bytes(outputs: outputs), codec: .lz4, digest: 0)
            }
        }
        let blocksBytes = records.joined().reduce(0) { $0 + $1.paddedBytes }
        var longest = packer
        for ((matrix, geometry), chunks) in zip(zip(shape.matrices, geometries), records) {
            for (index, chunk) in chunks.enumerated() {
                let shape = geometry.shape(outputs: chunk.outputCount)
                longest.append("\(matrix.name).chunk.\(index)", matrix.layout.elementType, shape)
                longest.appendPadding(1)
                longest.align(to: ChunkGeometry.alignment)
            }
        }
        let regionTable = sizes.map { Region(name: $0.0, offset: 0, byteCount: $0.1, digest: 0) }
        let bound = SafetensorsHeader.json(
            metadata: Self.allMetadata(
                shape, weights, metadata, sourceDigest: 0, regions: regionTable,
                chunks: zip(shape.matrices.map(\.name), records).map { ($0, $1) }),
            tensors: longest.tensors
        ).count
        let dataOffset = (8 + bound).roundedUp(to: ChunkGeometry.alignment)

        self.dataOffset = dataOffset
        tensors = packer.tensors.map { $0.moved(by: dataOffset) }
        tensorsByName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var offset = dataOffset
        regions = sizes.map { name, count in
            defer { offset += count }
            return (name, offset, count)
        }
        maximumFileBytes = offset + blocksBytes
    }

    /// The offset of the first block.
    package var blocksOffset: Int { regions.last.map { $0.offset + $0.byteCount } ?? dataOffset }

    /// A resident tensor, or one of the tokenizer's; nil if there is none.
    func tensor(_ name: String) -> TensorEntry? { tensorsByName[name] }

    /// The ranges of a block's scales in the file.
    func scales(of block: FileShape.Block) -> [Range<Int>] {
        block.matrices.compactMap { matrix in
            tensor(FileShape.scaleName(of: matrix.name)).map { $0.offset..<$0.offset + $0.byteCount }
        }
    }

    /// Bytes of a block if none of its chunks is packed.
    package func maximumBytes(ofBlock block: Int) -> Int {
        shape.blocks[block].matrices.reduce(0) { sum, matrix in
            let geometry = ChunkGeometry(matrix)
            return (0..<geometry.chunkCount).reduce(sum) {
                $0 + geometry.bytes(outputs: geometry.outputs(ofChunk: $1).count).roundedUp(to: ChunkGeometry.alignment)
            }
        }
    }

    /// Makes the first bytes of the finished file, up to the data: length, JSON, padding, digest.
    ///
    /// - Parameters:
    ///   - regions: the regions with their digests.
    ///   - chunks: the chunks of every matrix, in sweep order.
    ///   - sourceDigests: the source digest of every block.
    /// - Throws: `.badInput` if the table needs more bytes than were reserved, which cannot happen with chunks of this
    ///   layout.
    package func header(
        regions: [Region], chunks: [[LeafMetadata.ChunkRecord]], sourceDigests: [UInt64]
    ) throws(LeafError) -> [UInt8] {
        var packer = Packer()
        packer.tensors = tensors.map { $0.moved(by: -dataOffset) }
        packer.end = blocksOffset - dataOffset
        packer.paddings = tensors.filter { $0.name.hasPrefix(Packer.paddingPrefix) }.count
        for (matrix, records) in zip(shape.matrices, chunks) {
            let entries = MatrixTensors(matrix).entries(
                offset: packer.end, chunks: records.map { ($0.outputCount, $0.storedBytes, $0.codec) })
            for entry in entries {
                packer.append(entry.name, entry.type, entry.shape)
                packer.align(to: ChunkGeometry.alignment)
            }
        }
        var header = SafetensorsHeader.bytes(
            metadata: Self.allMetadata(
                shape, weights, metadata, sourceDigest: ChunkDigest.of(sourceDigests), regions: regions,
                chunks: zip(shape.matrices.map(\.name), chunks).map { ($0, $1) }),
            tensors: packer.tensors, count: dataOffset)
        guard header.count <= dataOffset else {
            throw LeafError(.badInput, "the header needs \(header.count) bytes, more than the \(dataOffset) reserved")
        }
        let digest = header.withUnsafeBytes { ChunkDigest.of(UnsafeRawBufferPointer(rebasing: $0[8...])) }
        let start = 8 + LeafMetadata.digestPrefix.count
        header.replaceSubrange(start..<start + 16, with: digest.hexDigits.utf8)
        return header
    }

    private static func allMetadata(
        _ shape: FileShape, _ weights: WeightFormat, _ extra: [(String, String)],
        sourceDigest: UInt64, regions: [Region], chunks: [(name: String, chunks: [LeafMetadata.ChunkRecord])]
    ) -> [(String, String)] {
        [
            (LeafMetadata.Key.digest, UInt64(0).hexDigits),
            (LeafMetadata.Key.format, LeafMetadata.format),
            (LeafMetadata.Key.version, "\(shape.version)"),
            (LeafMetadata.Key.configuration, shape.configuration),
            (LeafMetadata.Key.weights, weights.rawValue),
        ] + extra + [
            (LeafMetadata.Key.sourceDigest, sourceDigest.hexDigits),
            (LeafMetadata.Key.regions, LeafMetadata.regionTable(regions)),
            (LeafMetadata.Key.chunks, LeafMetadata.chunkTable(chunks)),
        ]
    }

    /// Lays tensors out one after another. safetensors allows no holes, so padding is a tensor too.
    private struct Packer {
        static let paddingPrefix = "pad."
        var tensors: [TensorEntry] = []
        var end = 0
        var paddings = 0

        mutating func append(_ name: String, _ type: TensorEntry.ElementType, _ shape: [Int]) {
            align(to: LeafLayout.tensorAlignment)
            let bytes = shape.reduce(type.byteCount, *)
            tensors.append(TensorEntry(name: name, type: type, shape: shape, offset: end, byteCount: bytes))
            end += bytes
        }

        mutating func align(to step: Int) {
            let count = end.roundedUp(to: step) - end
            if count > 0 { appendPadding(count) }
        }

        mutating func appendPadding(_ count: Int) {
            tensors.append(
                TensorEntry(
                    name: "\(Self.paddingPrefix)\(paddings)", type: .u8, shape: [count], offset: end, byteCount: count))
            paddings += 1
            end += count
        }
    }
}

extension TensorEntry {
    fileprivate func moved(by distance: Int) -> TensorEntry {
        TensorEntry(name: name, type: type, shape: shape, offset: offset + distance, byteCount: byteCount)
    }
}
