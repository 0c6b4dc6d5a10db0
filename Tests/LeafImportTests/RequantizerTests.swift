import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Testing

@Suite("Requantizing") struct RequantizerTests {
    /// A requantized model in a folder of its own.
    private struct Requantized {
        let directory: TemporaryDirectory
        let result: RequantizationResult
        let file: LeafFile

        init(
            _ model: LeafFile, _ weights: WeightFormat = .q4, _ change: (inout RequantizationOptions) -> Void = { _ in }
        ) throws {
            directory = try TemporaryDirectory()
            var options = RequantizationOptions()
            options.weights = weights
            options.calls.synchronize = { _ in 0 }
            change(&options)
            let path = directory.path("other.leaf")
            result = try Requantizer(model: model.path, output: path, options: options).run()
            file = try LeafFile.open(path: path)
        }

        /// Everything behind the header. The folder lasts as long as it is read.
        func data() throws -> Data { try withExtendedLifetime(directory) { try RequantizerTests.behindHeader(file) } }
    }

    private static func behindHeader(_ file: LeafFile) throws -> Data {
        try Data(contentsOf: URL(filePath: file.path)).dropFirst(file.regions[0].offset)
    }

    private static let lowBits: [WeightFormat] = [.q4, .q3]

    @Test(
        arguments: [
            "ant-tiny-a/hf", "ant-tiny-c/cpm-live/ant-tiny-c.pt", "ant-tiny-pruned/cpm-live/ant-tiny-pruned.pt",
        ], lowBits)
    func fewerBitsAreTheBytesOfTheConvertedCheckpoint(form: String, weights: WeightFormat) throws {
        let converted = try Conversion(Forms.path(form), weights)
        let int8 = try Conversion(Forms.path(form), .int8)
        let requantized = try Requantized(int8.file, weights)
        #expect(try requantized.data() == converted.data())
        #expect(requantized.file.weights == weights && requantized.result.parameters == converted.result.parameters)
        for matrix in requantized.file.matrices {
            #expect(matrix.layout == (matrix.name.hasPrefix("encoder.") ? weights.layout : .int8), "\(matrix.name)")
        }
    }

    @Test(arguments: [.int8] + lowBits) func floatsBecomeWhatTheirCheckpointBecomes(weights: WeightFormat) throws {
        for form in ["ant-tiny-b/hf", "ant-tiny-b/cpm-live/ant-tiny-b.pt"] {
            let floats = try Conversion(Forms.path(form), .float32)
            let requantized = try Requantized(floats.file, weights)
            let converted = try Conversion(Forms.path(form), weights)
            #expect(try requantized.data() == converted.data(), "\(form)")
        }
    }

    @Test(arguments: lowBits) func expandedNumbersGiveTheSameCodesAgain(weights: WeightFormat) throws {
        let low = try Conversion(Forms.path("ant-tiny-c/hf"), weights)
        let expanded = try Requantized(low.file, .int8)
        #expect(expanded.file.weights == .int8)
        let rows = try LeafRows(CPMAntFile.open(path: expanded.file.path), .best)
        for matrix in low.file.matrices {
            var floats: [Float] = []
            try rows.forEachChunk(ofMatrix: matrix.name) { floats += $1 }
            #expect(try floats == low.matrix(matrix.name), "\(matrix.name)")
        }
        // Another choice of grids may stand for the same numbers.
        let again = try Requantized(expanded.file, weights)
        let numbers = try LeafRows(CPMAntFile.open(path: again.file.path), .best)
        for matrix in low.file.matrices {
            var floats: [Float] = []
            try numbers.forEachChunk(ofMatrix: matrix.name) { floats += $1 }
            #expect(try floats == low.matrix(matrix.name), "\(matrix.name)")
        }
    }

    @Test(arguments: lowBits) func everyNumberOfThreadsAndInstructionSetGivesTheSameBytes(weights: WeightFormat) throws
    {
        let model = try Conversion(Forms.path("ant-tiny-a/hf"))
        let first = try Requantized(model.file, weights).data()
        for threads in [1, 3] {
            #expect(try Requantized(model.file, weights) { $0.threads = threads }.data() == first)
        }
        #expect(try Requantized(model.file, weights) { $0.instructionSet = "scalar" }.data() == first)
    }

    /// Codes of codes are those of the int8 numbers that the first ones stand for.
    @Test func codesBecomeOtherCodesByTheirNumbers() throws {
        let q4 = try Conversion(Forms.path("ant-tiny-b/hf"), .q4)
        let expanded = try Requantized(q4.file, .int8)
        #expect(try Requantized(q4.file, .q3).data() == Requantized(expanded.file, .q3).data())
    }

    @Test func aSmallBudgetGivesTheSameBytesOrNamesOneThatDoes() throws {
        let model = try Conversion(Forms.path("ant-tiny-a/hf"))
        let error = #expect(throws: LeafError.self) { try Requantized(model.file) { $0.memoryBudget = 1 << 20 } }
        guard case .memory(let bytes) = try #require(error?.advice) else {
            Issue.record("\(String(describing: error)) names no budget")
            return
        }
        let small = try Requantized(model.file) { $0.memoryBudget = bytes }
        #expect(try small.data() == Requantized(model.file).data())
    }

    /// Leaves a few pieces of a file; the options are those of a run that goes on with them.
    private func interrupt(_ model: Conversion, _ path: String) -> RequantizationOptions {
        var options = RequantizationOptions()
        options.threads = 1
        var pieces = 0
        #expect(throws: LeafError.self) {
            try Requantizer(model: model.file.path, output: path, options: options).run(
                isCancelled: { pieces > 5 }, progress: { _ in pieces += 1 })
        }
        return options
    }

    @Test func anInterruptedRunGoesOn() throws {
        let model = try Conversion(Forms.path("ant-tiny-a/hf"))
        let directory = try TemporaryDirectory()
        let path = directory.path("other.leaf")
        let options = interrupt(model, path)
        #expect(!FileManager.default.fileExists(atPath: path))
        let result = try Requantizer(model: model.file.path, output: path, options: options).run()
        #expect(result.blocksResumed > 0)
        #expect(try Self.behindHeader(LeafFile.open(path: path)) == Requantized(model.file).data())
    }

    @Test func whatLayThereOfOtherWeightsIsSaidToBeDropped() throws {
        let model = try Conversion(Forms.path("ant-tiny-a/hf"))
        let directory = try TemporaryDirectory()
        let path = directory.path("other.leaf")
        var options = interrupt(model, path)
        options.weights = options.weights == .q3 ? .q4 : .q3
        let result = try Requantizer(model: model.file.path, output: path, options: options).run()
        #expect(result.blocksResumed == 0 && result.warnings.count == 1, "\(result.warnings)")
        #expect(result.warnings.first?.contains("was dropped") == true)
    }

    /// Bits of one weight of the layers, before anything is packed, are at most those named here.
    @Test(arguments: zip(lowBits, [4.3, 3.3]))
    func theCopyNamesItsModelAndKeepsItsTokenizer(weights: WeightFormat, bits: Double) throws {
        let model = try Conversion(Golden.demoModel.path)
        let copy = try Requantized(model.file, weights)
        #expect(copy.file.metadata["source.model"] == "\(model.file.digest) int8")
        #expect(copy.file.metadata["source"] == model.file.metadata["source"])
        let (own, other) = (try copy.file.readTokenizer(), try model.file.readTokenizer())
        #expect(own?.vocabulary == other?.vocabulary && own?.dictionary == other?.dictionary)
        #expect(copy.file.metadata["version"] == "4" && model.file.metadata["version"] == "1")
        let layers = copy.file.matrices.filter(\.layout.isCoded)
        let bytes = layers.flatMap { copy.file.chunks[$0.chunks] }.reduce(0) { $0 + $1.rawBytes }
        let count = layers.reduce(0) { $0 + $1.storedOutputs * $1.storedColumns }
        #expect(count > 0 && Double(bytes * 8) <= bits * Double(count))
    }

    @Test func whatCannotBeIsRefused() throws {
        let model = try Conversion(Forms.path("ant-tiny-a/hf"))
        let low = try Requantized(model.file)
        func kind(_ source: LeafFile, _ weights: WeightFormat, to path: String? = nil) -> LeafError.Kind? {
            var options = RequantizationOptions()
            options.weights = weights
            options.replacesExisting = true
            let output = path ?? model.directory.path("refused.leaf")
            do throws(LeafError) {
                _ = try Requantizer(model: source.path, output: output, options: options).run()
            } catch { return error.kind }
            return nil
        }
        #expect(kind(model.file, .int8) == .usage)
        #expect(kind(low.file, .q4) == .usage)
        #expect(kind(low.file, .float16) == .usage)
        #expect(kind(model.file, .q4, to: model.file.path) == .usage)
        // A flipped bit of a chunk is found, and leaves no model behind.
        var bytes = try Data(contentsOf: URL(filePath: model.file.path))
        bytes[model.file.chunks[3].offset + 5] ^= 1
        let damaged = model.directory.path("damaged.leaf")
        try bytes.write(to: URL(filePath: damaged))
        #expect(kind(try LeafFile.open(path: damaged), .q4) == .badInput)
        #expect(!FileManager.default.fileExists(atPath: model.directory.path("refused.leaf")))
    }

    @Test(arguments: lowBits) func anExportOfCodesIsThatOfTheNumbersTheyStandFor(weights: WeightFormat) throws {
        let low = try Conversion(Forms.path("ant-tiny-b/hf"), weights)
        let expanded = try Requantized(low.file, .int8)
        let folders = try [low.file, expanded.file].map { file in
            let folder = low.directory.path("out\(file.weights.rawValue)")
            _ = try Exporter(model: file.path, folder: folder).run()
            return try Data(contentsOf: URL(filePath: folder + "/model-00001-of-00001.safetensors"))
        }
        #expect(folders[0] == folders[1])
    }
}
