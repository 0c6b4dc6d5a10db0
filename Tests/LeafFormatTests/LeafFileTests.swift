import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafSystem
import Testing

@Suite("model file") struct LeafFileTests {
    @Test(arguments: WeightFormat.allCases) func whatIsWrittenIsRead(weights: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        let written = try SmallModel(weights).write(to: path)
        let file = try LeafFile.open(path: path)
        #expect(file == written)
        #expect(file.configuration == SmallModel.configuration)
        #expect(file.weights == weights)
        #expect(
            file.blocks.map(\.name) == [
                "layer 0, attention", "layer 0, feed-forward", "layer 1, feed-forward", "layer 2, attention",
                "token table",
            ])
        #expect(file.metadata["software"] == "a \"test\" \\ of\u{1} writing")
        #expect(file.regions.map(\.name) == ["resident", "tokenizer"])
        let codecs = Set(file.chunks.map(\.codec))
        #expect(codecs == [.raw, .lz4])
        let tokenizer = try #require(try file.readTokenizer())
        #expect(tokenizer.vocabulary == Array("a\nb\n".utf8))
        #expect(tokenizer.dictionary == [UInt8](repeating: 7, count: 3000))
        try file.verify()
    }

    @Test(arguments: WeightFormat.allCases) func everyByteBehindTheHeaderHasItsPlace(weights: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        let file = try SmallModel(weights).write(to: directory.path("m.leaf"))
        var end = file.regions[0].offset
        #expect(end % 4096 == 0)
        for region in file.regions {
            #expect(region.offset == end && region.byteCount % 4096 == 0)
            end += region.byteCount
        }
        for chunk in file.chunks {
            #expect(chunk.offset == end && chunk.rawBytes <= 4 << 20 && chunk.slotBytes % 4096 == 0)
            end += chunk.paddedBytes
        }
        #expect(end == file.fileBytes)
        for tensor in ModelShape(file.configuration, weights: weights).file.residentTensors {
            #expect(file.tensor(tensor.name)!.offset % 64 == 0)
        }
    }

    @Test func anyChangedByteIsFound() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        try SmallModel().write(to: path)
        let original = try Data(contentsOf: URL(filePath: path))
        let header = try LeafFile.open(path: path).regions[0].offset
        // In place: to cut a file and write it again makes some file systems wait for the disk.
        let output = try OutputFile(path: path)
        for round in 0..<1500 {
            let offset = Int.random(in: 0..<(round % 2 == 0 ? header : original.count), using: &generator)
            try output.write([original[offset] ^ UInt8.random(in: 1...255, using: &generator)], at: offset)
            defer { try? output.write([original[offset]], at: offset) }
            let error = failure { try LeafFile.open(path: path).verify() }
            #expect(error?.kind == .badInput, "byte \(offset), seed \(seed)")
        }
    }

    @Test func aFileThatIsCutOffIsRefused() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        try SmallModel().write(to: path)
        let original = try Data(contentsOf: URL(filePath: path))
        for _ in 0..<200 {
            try original.prefix(Int.random(in: 0..<original.count, using: &generator)).write(to: URL(filePath: path))
            #expect(failure { _ = try LeafFile.open(path: path) }?.kind == .badInput, "seed \(seed)")
        }
    }

    /// Headers that are well-formed and carry the right checksum, but were never written by a writer.
    @Test func mutatedTablesNeverCrash() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        try SmallModel().write(to: path)
        let original = try Data(contentsOf: URL(filePath: path))
        let end = try LeafFile.open(path: path).regions[0].offset
        var refused = 0
        for _ in 0..<2000 {
            var json = Array(original[8..<end])
            for _ in 0..<Int.random(in: 1...2, using: &generator) {
                // Digits above all: they are sizes, offsets and counts.
                let offset = Int.random(in: 60..<json.count, using: &generator)
                let digit = json[offset...].firstIndex { (0x30...0x39).contains($0) } ?? offset
                json[digit] = UInt8.random(in: 0x2D...0x39, using: &generator)
            }
            let error = try Self.openForged(json, path)
            if error != nil { refused += 1 }
            #expect(error == nil || error?.kind == .badInput, "seed \(seed)")
        }
        #expect(refused > 1000, "seed \(seed)")
    }

    @Test(arguments: [
        ("\"version\":\"1\"", "\"version\":\"5\"", "format version 5"),
        ("\"format\":\"leafcutter\"", "\"format\":\"leafcuttex\"", "no Leafcutter model"),
        ("\"weights\":\"int8\"", "\"weights\":\"int9\"", "unknown format"),
        ("encoder.output_layernorm.weight\":{", "encoder.output_layernorm.weighx\":{", "is missing"),
        ("\\\"vocab_size\\\":70", "\\\"vocab_size\\\":99", "lack outputs"),
        ("\\\"num_layers\\\":3", "\\\"num_layers\\\":4", "mask_modules"),
        ("\\\"dim_model\\\":80", "\\\"dim_model\\\":-8", "outside"),
        ("\\\"num_heads\\\":2", "\\\"num_heads\\\":0", "outside"),
        ("tokenizer=", "tokenizes=", "accepted"),
    ])
    func aWrongHeaderIsRefused(old: String, new: String, reason: String) throws {
        #expect(old.utf8.count == new.utf8.count)
        try Self.expectRefusal(replacing: old, with: new, reason)
    }

    /// Replaces a part of a small model's header, and expects a refusal of the file.
    private static func expectRefusal(replacing old: String, with new: String, _ reason: String) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        try SmallModel().write(to: path)
        let original = try Data(contentsOf: URL(filePath: path))
        let end = try LeafFile.open(path: path).regions[0].offset
        let text = String(decoding: original[8..<end], as: UTF8.self)
        #expect(text.contains(old))
        // The padding gives or takes what the change needs.
        let forged = Array(text.replacing(old, with: new).utf8) + [UInt8](repeating: 0x20, count: 64)
        let description = try openForged(Array(forged.prefix(end - 8)), path)?.description ?? "accepted"
        #expect(description.contains(reason), "\(description)")
    }

    /// Opens and verifies the file with another header, its checksum made right.
    private static func openForged(_ json: [UInt8], _ path: String) throws -> LeafError? {
        var json = json
        let start = LeafMetadata.digestPrefix.count
        json.replaceSubrange(start..<start + 16, with: repeatElement(UInt8(ascii: "0"), count: 16))
        json.replaceSubrange(start..<start + 16, with: json.withUnsafeBytes { ChunkDigest.of($0) }.hexDigits.utf8)
        try OutputFile(path: path).write(json, at: 8)
        return failure { try LeafFile.open(path: path).verify() }
    }

    /// What a header asks for is bounded before anything is read or unpacked.
    @Test(arguments: [
        ("\"tokenizer.dictionary.bytes\":\"3000\"", "\"tokenizer.dictionary.bytes\":\"16777217\"", "no sensible size"),
        (
            "\"tokenizer.dictionary.bytes\":\"3000\"", "\"tokenizer.dictionary.bytes\":\"999999999999999999\"",
            "no sensible size"
        ),
        ("\"tokenizer.dictionary.bytes\":\"3000\"", "\"tokenizer.dictionary.bytes\":\"-3000\"", "no sensible size"),
        ("\"tokenizer.dictionary.bytes\":\"3000\"", "\"tokenizer.dictionary.bytes\":\"0\"", "no sensible size"),
        ("\"tokenizer.dictionary.bytes\":\"3000\"", "\"tokenizer.dictionary.bytez\":\"3000\"", "no sensible size"),
    ])
    func aDictionaryOfImpossibleSizeIsRefused(old: String, new: String, reason: String) throws {
        try Self.expectRefusal(replacing: old, with: new, reason)
    }

    @Test func aDictionaryThatUnpacksToAnotherSizeIsFound() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        try SmallModel().write(to: path)
        let original = try Data(contentsOf: URL(filePath: path))
        let end = try LeafFile.open(path: path).regions[0].offset
        let text = String(decoding: original[8..<end], as: UTF8.self)
        for size in ["2999", "3001", "9999"] {
            let forged = text.replacing(
                "\"tokenizer.dictionary.bytes\":\"3000\"", with: "\"tokenizer.dictionary.bytes\":\"\(size)\"")
            #expect(try Self.openForged(Array(forged.utf8), path) == nil)
            let file = try LeafFile.open(path: path)
            #expect(file.tokenizerSizes?.dictionary == Int(size))
            #expect(failure { _ = try file.readTokenizer() }?.description.contains("does not unpack") == true)
        }
    }

    @Test func aDamagedTokenizerIsFoundWhenItIsRead() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        let file = try SmallModel().write(to: path)
        let region = file.regions[1]
        #expect(region.name == "tokenizer")
        for offset in [0, 1, region.byteCount / 2, region.byteCount - 1] {
            let output = try OutputFile(path: path)
            let byte = try InputFile(path: path).bytes(at: region.offset + offset, count: 1)
            try output.write([byte[0] ^ 1], at: region.offset + offset)
            #expect(failure { _ = try file.readTokenizer() }?.description.contains("the tokenizer region") == true)
            try output.write(byte, at: region.offset + offset)
        }
        #expect(try file.readTokenizer() != nil)
    }

    @Test func aHeaderThatDoesNotFitTheMemoryIsNotRead() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        let file = try SmallModel().write(to: path)
        #expect(file.headerBytes == file.regions[0].offset)
        var allowance = HeapAllowance.unlimited
        let ant = try CPMAntFile.open(path: path, &allowance)
        #expect(ant.leaf == file)
        #expect(allowance.held == file.heapBytes && allowance.peak > allowance.held)
        for memory in [Int.min, -1, 0, file.headerBytes, allowance.peak - 1, allowance.peak] {
            var tight = HeapAllowance(budget: memory, held: 0)
            let error = failure { _ = try CPMAntFile.open(path: path, &tight) }
            if memory == allowance.peak {
                #expect(error == nil)
            } else {
                #expect(error?.kind == .budget && error?.description.contains("for its header") == true)
            }
        }
    }

    @Test func scalesThatAreNoNumbersAreFound() throws {
        for scale: Float in [.nan, -Float.infinity, -1] {
            let directory = try TemporaryDirectory()
            let path = directory.path("m.leaf")
            let model = SmallModel()
            let file = try model.write(to: path) { writer in
                try withUnsafeBytes(of: scale) { try writer.write(TensorName.promptScale, $0, at: 4) }
            }
            let error = failure { try file.verify() }
            #expect(error?.description.contains("prompt_embedding.scale") == true)
        }
    }

    @Test func verificationNamesTheFirstBadBlockAndItsTensor() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        let file = try SmallModel().write(to: path)
        var data = try Data(contentsOf: URL(filePath: path))
        let chunk = file.chunks[file.blocks[2].chunks.lowerBound]
        data[chunk.offset + 5] ^= 1
        try data.write(to: URL(filePath: path))
        let error = try #require(failure { try LeafFile.open(path: path).verify() })
        #expect(error.description.contains("block 2 (layer 1, feed-forward), encoder.layers.1.ffn.ffn.w_in.w_0.weight"))
        #expect(error.description.contains("offset \(chunk.offset)"))
        #expect(error.exitCode == 1)

        data[file.regions[0].offset + 1] ^= 1
        try data.write(to: URL(filePath: path))
        #expect(failure { try LeafFile.open(path: path).verify() }?.description.contains("resident region") == true)
    }

    @Test func theLargestModelsHeaderFitsItsRoom() throws {
        let configuration = ModelConfiguration(
            vocabSize: 30720, dimModel: 4096, numHeads: 32, dimHead: 128, dimFF: 10240,
            layers: Array(repeating: .init(hasAttention: true, hasFeedForward: true), count: 48))
        let shape = ModelShape(configuration, weights: .int8)
        let layout = LeafLayout(
            shape: shape.file, weights: .int8, vocabularyBytes: 203_814, dictionaryBytes: 1_476_852,
            metadata: [])
        #expect(shape.parameterCount == 9_391_624_192)
        var generator = SeededGenerator(seed: 1)
        let chunks = layout.shape.matrices.map { matrix in
            let geometry = ChunkGeometry(matrix)
            return (0..<geometry.chunkCount).map { index in
                let rows = geometry.outputs(ofChunk: index).count
                let isPacked = matrix.name != TensorName.tokenTable && generator.next() % 2 == 0
                return LeafMetadata.ChunkRecord(
                    outputCount: rows, storedBytes: geometry.bytes(outputs: rows) - (isPacked ? 500_001 : 0),
                    codec: isPacked ? .lz4 : .raw, digest: generator.next())
            }
        }
        let regions = layout.regions.map {
            Region(name: $0.name, offset: $0.offset, byteCount: $0.byteCount, digest: 1)
        }
        let header = try layout.header(regions: regions, chunks: chunks, sourceDigests: [])
        #expect(header.count == layout.dataOffset)

        // A file of holes is a file: only the header is read.
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        try Data(header).write(to: URL(filePath: path))
        let end = chunks.joined().reduce(layout.blocksOffset) { $0 + $1.paddedBytes }
        #expect(end <= layout.maximumFileBytes)
        try FileHandle(forWritingTo: URL(filePath: path)).truncate(atOffset: UInt64(end))
        let file = try LeafFile.open(path: path)
        #expect(file.chunks.count == chunks.joined().count)
        #expect(file.chunks.allSatisfy { $0.rawBytes <= 4 << 20 })
    }
}
