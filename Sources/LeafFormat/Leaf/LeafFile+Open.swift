package import LeafSystem

extension LeafFile {
    /// Reads and checks the header of a model file, but no weights.
    ///
    /// What it promises afterwards: every tensor that the model needs is there with its type and shape, chunks and
    /// regions cover every byte after the header, all at multiples of 4096, and nothing lies outside the file.
    ///
    /// - Parameters:
    ///   - allowance: has to hold the header while it is read; what the file holds of it stays taken.
    ///   - shape: says what the model of that configuration asks of its file.
    /// - Throws: `.io` if the file cannot be read, `.badInput` naming what is wrong, `.budget` if the header is too
    ///   large for the allowance, and what `shape` throws.
    package static func open(
        path: String, _ allowance: inout HeapAllowance,
        shape: (_ configuration: String, _ weights: WeightFormat) throws(LeafError) -> FileShape
    ) throws(LeafError) -> LeafFile {
        let file = try InputFile(path: path)
        let heldBefore = allowance.held
        let json: [UInt8]
        let header: SafetensorsHeader
        do {
            json = try SafetensorsHeader.json(of: file, &allowance)
            header = try SafetensorsHeader(json: json, fileBytes: file.byteCount, path: path)
        } catch {
            guard error.kind == .badInput else { throw error }
            throw LeafError(
                .badInput,
                "\(error.description); a model file is made by `leafcutter convert`, `requantize` or `synthesize`")
        }
        let metadata = header.metadata
        guard metadata[LeafMetadata.Key.format] == LeafMetadata.format else {
            throw LeafError(
                .badInput, "\(path) is a safetensors file, but no Leafcutter model; run `leafcutter convert`")
        }
        guard let version = metadata[LeafMetadata.Key.version].flatMap({ Int(digits: $0.utf8) }) else {
            throw LeafError(.badInput, "\(path) does not say its format version; \(LeafMetadata.remedy(metadata))")
        }
        guard (1...LeafMetadata.version).contains(version) else {
            throw LeafError(
                .badInput,
                "\(path) has format version \(version), this Leafcutter reads 1 to \(LeafMetadata.version); "
                    + "use a newer Leafcutter, or make the file with this one")
        }
        try checkDigest(of: json, path: path)
        let leaf = try Assembly(path: path, fileBytes: file.byteCount, header: header).assemble(shape)
        allowance.give(back: allowance.held - heldBefore - leaf.heapBytes)
        return leaf
    }

    private static func checkDigest(of json: [UInt8], path: String) throws(LeafError) {
        let prefix = LeafMetadata.digestPrefix
        let digits = prefix.count..<prefix.count + 16
        guard json.count >= digits.upperBound, json.starts(with: prefix),
            let digest = UInt64(hexDigits: json[digits])
        else {
            throw LeafError(
                .badInput, "\(path): the header does not begin with its checksum; \(LeafMetadata.unknownRemedy)")
        }
        var actual = try ChunkDigest()
        json.withUnsafeBytes { bytes in
            actual.update(UnsafeRawBufferPointer(rebasing: bytes[..<digits.lowerBound]))
            [UInt8](repeating: UInt8(ascii: "0"), count: 16).withUnsafeBytes { actual.update($0) }
            actual.update(UnsafeRawBufferPointer(rebasing: bytes[digits.upperBound...]))
        }
        guard actual.value == digest else {
            throw LeafError(.badInput, "\(path): the header fails its checksum; \(LeafMetadata.unknownRemedy)")
        }
    }

    /// Puts a model together from the header's tables, checking each against the model's shape.
    package struct Assembly {
        let path: String
        let fileBytes: Int
        let header: SafetensorsHeader

        package init(path: String, fileBytes: Int, header: SafetensorsHeader) {
            self.path = path
            self.fileBytes = fileBytes
            self.header = header
        }

        package func assemble(
            _ shape: (_ configuration: String, _ weights: WeightFormat) throws(LeafError) -> FileShape
        ) throws(LeafError) -> LeafFile {
            guard let weights = WeightFormat(rawValue: try string(LeafMetadata.Key.weights)) else {
                throw fault("the weights are of an unknown format, \(try string(LeafMetadata.Key.weights))")
            }
            let configuration = try string(LeafMetadata.Key.configuration)
            guard configuration.utf8.count <= Self.mostConfigurationBytes else {
                throw fault("the configuration has \(configuration.utf8.count.sizeText), which no model needs")
            }
            let shape = try shape(configuration, weights)
            let regions = try regions()
            var file = try blocks(shape, from: regions.last!.offset + regions.last!.byteCount)
            guard file.end == fileBytes else {
                throw fault("the chunks end at \(file.end), but the file has \(fileBytes.of("byte"))")
            }
            try checkTensors(shape, &file)
            return LeafFile(
                path: path, fileBytes: fileBytes, weights: weights, tensors: header.tensors,
                blocks: file.blocks, matrices: file.matrices, chunks: file.chunks,
                regions: regions, metadata: header.metadata)
        }

        /// Decoding takes some thirty times as much.
        private static let mostConfigurationBytes = 512 << 10

        /// A table that cannot be true is not taken apart, which would take some thirty times its bytes.
        ///
        /// - Parameter most: separators that a true one has at most.
        private func table(_ key: String, most: Int) throws(LeafError) -> String {
            let text = try string(key)
            let separators = text.utf8.count { ";,:".utf8.contains($0) }
            guard separators <= most else { throw fault("the table of \(key) is damaged") }
            return text
        }

        private func fault(_ what: String) -> LeafError {
            LeafError(.badInput, "\(path): \(what); \(LeafMetadata.remedy(header.metadata))")
        }

        private func string(_ key: String) throws(LeafError) -> String {
            guard let value = header.metadata[key] else { throw fault("the header lacks `\(key)`") }
            return value
        }

        private func regions() throws(LeafError) -> [Region] {
            guard header.dataOffset % ChunkGeometry.alignment == 0 else {
                throw fault("the data begin at \(header.dataOffset), not at a multiple of 4096")
            }
            let table = try table(LeafMetadata.Key.regions, most: 64)
            guard let regions = LeafMetadata.parseRegionTable(table, dataOffset: header.dataOffset), !regions.isEmpty
            else { throw fault("the table of regions is damaged") }
            for region in regions {
                guard region.byteCount % ChunkGeometry.alignment == 0, region.byteCount <= fileBytes - region.offset
                else {
                    throw fault("region \(region.name) is out of place")
                }
            }
            return regions
        }

        private struct SweepTables {
            var blocks: [Block] = []
            var matrices: [Matrix] = []
            var chunks: [Chunk] = []
            var end: Int
        }

        private func blocks(_ shape: FileShape, from start: Int) throws(LeafError) -> SweepTables {
            // A chunk has a page of the file, and four fields.
            let most = shape.matrices.count + 5 * (fileBytes / ChunkGeometry.alignment)
            guard let table = LeafMetadata.parseChunkTable(try table(LeafMetadata.Key.chunks, most: most)) else {
                throw fault("the table of chunks is damaged")
            }
            guard table.map(\.name) == shape.matrices.map(\.name) else {
                throw fault("the table of chunks does not list the matrices of this configuration")
            }
            var sweep = SweepTables(end: start)
            for block in shape.blocks {
                let firstMatrix = sweep.matrices.count
                let firstChunk = sweep.chunks.count
                for matrix in block.matrices {
                    try append(matrix, table[sweep.matrices.count].chunks, to: &sweep)
                }
                sweep.blocks.append(
                    Block(
                        name: block.name, matrices: firstMatrix..<sweep.matrices.count,
                        chunks: firstChunk..<sweep.chunks.count))
            }
            return sweep
        }

        private func append(
            _ matrix: FileShape.Matrix, _ records: [LeafMetadata.ChunkRecord], to sweep: inout SweepTables
        ) throws(LeafError) {
            let geometry = ChunkGeometry(matrix)
            let first = sweep.chunks.count
            var output = 0
            for record in records {
                guard record.outputCount > 0, record.outputCount % matrix.layout.unitOutputs == 0,
                    record.outputCount <= geometry.storedOutputs - output
                else { throw fault("the chunks of \(matrix.name) do not fit its \(matrix.outputs) outputs") }
                let rawBytes = geometry.bytes(outputs: record.outputCount)
                guard rawBytes <= ChunkGeometry.maximumBytes else {
                    throw fault("a chunk of \(matrix.name) has \(rawBytes) bytes, more than 4 MiB")
                }
                guard
                    record.codec == .raw ? record.storedBytes == rawBytes : (1..<rawBytes).contains(record.storedBytes),
                    record.codec == .raw || !matrix.isReadByOutput
                else {
                    throw fault("a chunk of \(matrix.name) is stored in \(record.storedBytes) bytes, which cannot be")
                }
                guard record.paddedBytes <= fileBytes - sweep.end else {
                    throw fault("the chunks of \(matrix.name) lie outside the file")
                }
                sweep.chunks.append(
                    Chunk(
                        matrix: sweep.matrices.count, firstOutput: output, outputCount: record.outputCount,
                        offset: sweep.end, storedBytes: record.storedBytes, rawBytes: rawBytes, codec: record.codec,
                        digest: record.digest))
                output += record.outputCount
                sweep.end += record.paddedBytes
            }
            guard output == geometry.storedOutputs else {
                throw fault("the chunks of \(matrix.name) lack outputs from \(output) on")
            }
            sweep.matrices.append(Matrix(shape: matrix, chunks: first..<sweep.chunks.count))
        }

        /// Checks that every tensor is where the tables say, so that any safetensors reader sees the same numbers.
        private func checkTensors(
            _ shape: FileShape, _ sweep: inout SweepTables
        ) throws(LeafError) {
            var tensors: [String: TensorEntry] = [:]
            tensors.reserveCapacity(header.tensors.count)
            for tensor in header.tensors { tensors[tensor.name] = tensor }

            let blocksStart = sweep.chunks.first!.offset
            for wanted in shape.residentTensors {
                guard let tensor = tensors[wanted.name] else { throw fault("tensor \(wanted.name) is missing") }
                guard tensor.type == wanted.type, tensor.shape == wanted.shape,
                    tensor.offset + tensor.byteCount <= blocksStart
                else {
                    throw fault(
                        "tensor \(wanted.name) is \(tensor.type.rawValue) \(tensor.shape), "
                            + "not \(wanted.type.rawValue) \(wanted.shape)")
                }
            }
            for (name, most) in [
                (LeafMetadata.vocabularyTensor, LeafFile.maximumVocabularyBytes),
                (LeafMetadata.dictionaryTensor, LeafFile.maximumDictionaryBytes),
            ] {
                guard let tensor = tensors[name] else { continue }
                guard tensor.type == .u8, tensor.offset + tensor.byteCount <= blocksStart else {
                    throw fault("tensor \(name) is out of place")
                }
                guard tensor.byteCount <= most else {
                    throw fault("tensor \(name) has \(tensor.byteCount.sizeText), more than \(most.sizeText)")
                }
            }
            // A dictionary is unpacked at once; a header must not be able to ask for all memory.
            if tensors[LeafMetadata.dictionaryTensor] != nil,
                header.metadata[LeafMetadata.Key.dictionaryCodec] == ChunkCodec.lz4.rawValue
            {
                let count = header.metadata[LeafMetadata.Key.dictionaryBytes].flatMap { Int(digits: $0.utf8) } ?? 0
                guard (1...LeafFile.maximumDictionaryBytes).contains(count) else {
                    throw fault("the dictionary has no sensible size")
                }
            }
            for matrix in sweep.matrices {
                for expected in Self.tensors(of: matrix, chunks: sweep.chunks[matrix.chunks]) {
                    guard let tensor = tensors[expected.name] else { throw fault("tensor \(expected.name) is missing") }
                    guard tensor == expected else { throw fault("tensor \(expected.name) is not where its chunks are") }
                }
            }
        }

        private static func tensors(of matrix: Matrix, chunks: ArraySlice<Chunk>) -> [TensorEntry] {
            MatrixTensors(matrix.shape).entries(
                offset: chunks.first!.offset, chunks: chunks.map { ($0.outputCount, $0.storedBytes, $0.codec) })
        }
    }
}

/// The tensors of one matrix in the header: one tensor if its chunks are raw and without gaps, otherwise one for each
/// chunk.
package struct MatrixTensors {
    private let name: String
    private let geometry: ChunkGeometry

    package init(_ matrix: FileShape.Matrix) {
        name = matrix.name
        geometry = ChunkGeometry(matrix)
    }

    /// - Parameters:
    ///   - offset: the offset of the first chunk in the file.
    ///   - chunks: outputs, stored bytes and codec of each, which begin at multiples of 4096 one behind the other.
    package func entries(
        offset: Int, chunks: [(outputCount: Int, storedBytes: Int, codec: ChunkCodec)]
    ) -> [TensorEntry] {
        let isWhole =
            chunks.allSatisfy { $0.codec == .raw }
            && chunks.dropLast().allSatisfy { $0.storedBytes % ChunkGeometry.alignment == 0 }
        if isWhole {
            let type = geometry.layout.elementType
            let bytes = chunks.reduce(0) { $0 + $1.storedBytes }
            let shape = geometry.shape(outputs: geometry.storedOutputs)
            return [TensorEntry(name: name, type: type, shape: shape, offset: offset, byteCount: bytes)]
        }
        var position = offset
        return chunks.enumerated().map { index, chunk in
            defer { position += chunk.storedBytes.roundedUp(to: ChunkGeometry.alignment) }
            let isRaw = chunk.codec == .raw
            return TensorEntry(
                name: "\(name).chunk.\(index)", type: isRaw ? geometry.layout.elementType : .u8,
                shape: isRaw ? geometry.shape(outputs: chunk.outputCount) : [chunk.storedBytes], offset: position,
                byteCount: chunk.storedBytes)
        }
    }
}
