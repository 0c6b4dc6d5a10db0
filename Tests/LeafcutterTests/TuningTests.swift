import CPMAntShape
import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafImport
import LeafStream
import LeafSystem
import Leafcutter
import Testing

/// `Tests/Golden/tuning`: logits with adapters and soft prompts, by `Scripts/make-tuning-fixtures.py`.
@Suite("Adapters and soft prompts") struct TuningTests {
    struct Case: CustomTestStringConvertible, Sendable {
        /// Of the tensor with the logits.
        let name: String
        var delta: String?
        var alpha: Float?
        var prompt: String?
        var task = 2
        var segment = 2

        var testDescription: String { name }
    }

    static let cases = [
        Case(name: "none"), Case(name: "best", delta: "best.pt"), Case(name: "best.alpha8", delta: "best.pt", alpha: 8),
        Case(name: "best.task1", delta: "best.pt", task: 1, segment: 1), Case(name: "finetuned", delta: "finetuned"),
        Case(name: "finetuned", delta: "finetuned.safetensors", alpha: 12),
        Case(name: "prompt", prompt: "prompt.safetensors"), Case(name: "prompts.task1", prompt: "prompts.pt", task: 1),
        Case(name: "best.prompt", delta: "best.pt", prompt: "prompt.safetensors"),
    ]

    private static func path(_ name: String) -> String { Golden.root.appending(path: "tuning/\(name)").path }

    private static func ids() throws -> [Int32] { try Golden.decode([Int32].self, "tuning/ids.json") }

    private static func golden(_ name: String) throws -> [Float] {
        try #require(try PlainSafetensors(URL(filePath: path("logits.safetensors"))).floats(name))
    }

    private func logits(_ test: Case, _ model: Model) throws -> [Float] {
        let ids = try Self.ids()
        return try Fixture.logits(
            model, [LogitsCase(id: "", inputIDs: ids, task: test.task, segment: test.segment)])[0].flatMap { $0 }
    }

    private func open(
        _ path: String, _ test: Case, threads: Int = 2, instructionSet: InstructionSet? = nil
    ) throws -> Model {
        var file = try ModelFile(path: path)
        if let delta = test.delta {
            try file.tunings.add(AdapterFile(path: Self.path(delta), alpha: test.alpha, for: file.configuration))
        }
        if let prompt = test.prompt {
            try file.tunings.add(SoftPromptFile(path: Self.path(prompt), for: file.configuration))
        }
        return try Model(
            file,
            ModelOptions(
                memory: .gibibytes(1), threads: threads, instructionSet: instructionSet,
                capacity: .init(context: 64, logitRows: 64)))
    }

    /// A soft prompt's numbers are those of the checkpoint's form, so only CPM-Live's agrees with these.
    @Test(arguments: cases) func logitsAreThoseOfTorch(test: Case) throws {
        let directory = try TemporaryDirectory()
        for form in test.prompt == nil ? ["cpm-live", "hf"] : ["cpm-live"] {
            let path = directory.path("\(form).leaf")
            try Fixture.convert("ant-tiny-c", form: form, weights: .float32, to: path)
            let mine = try logits(test, try open(path, test))
            #expect(largestDifference(mine, try Self.golden(test.name)) < logitTolerance, "\(form)")
        }
    }

    @Test(arguments: cases.filter { $0.delta != nil && $0.prompt == nil }, ["cpm-live/ant-tiny-c.pt", "hf"])
    func aMergedModelComputesTheSame(test: Case, form: String) throws {
        let directory = try TemporaryDirectory()
        var options = ConversionOptions()
        options.weights = .float32
        options.adapters = [.init(path: Self.path(try #require(test.delta)), alpha: test.alpha)]
        let path = directory.path("merged.leaf")
        _ = try Converter(source: Golden.model("ant-tiny-c/\(form)").path, output: path, options: options).run()
        let plain = Case(name: "", task: test.task, segment: test.segment)
        let mine = try logits(plain, try open(path, plain))
        #expect(largestDifference(mine, try Self.golden(test.name)) < logitTolerance)
    }

    /// Fewer bits are chosen for the merged numbers: as for those of the merged int8 model.
    @Test(arguments: [WeightFormat.q4, .q3])
    func aMergedLowBitModelIsTheMergedModelsCopy(weights: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        func merge(_ weights: WeightFormat) throws -> String {
            var options = ConversionOptions()
            options.weights = weights
            options.adapters = [.init(path: Self.path("best.pt"), alpha: nil)]
            let path = directory.path("\(weights).leaf")
            let source = Golden.model("ant-tiny-c/hf").path
            _ = try Converter(source: source, output: path, options: options).run()
            return path
        }
        var options = RequantizationOptions()
        options.weights = weights
        let copy = directory.path("copy.leaf")
        _ = try Requantizer(model: try merge(.int8), output: copy, options: options).run()
        let plain = Case(name: "", task: 0, segment: 0)
        #expect(try logits(plain, open(merge(weights), plain)) == logits(plain, open(copy, plain)))
    }

    @Test(arguments: [WeightFormat.int8, .q4, .q3])
    func bitsDependOnNeitherThreadsNorInstructions(weights: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "cpm-live", weights: weights, to: path)
        for test in [
            Case(name: "", delta: "best.pt", prompt: "prompt.safetensors"), Case(name: "", delta: "finetuned"),
        ] {
            var reference: [Float]?
            for set in InstructionSet.available {
                for threads in [1, 3] {
                    let mine = try logits(test, try open(path, test, threads: threads, instructionSet: set))
                    #expect(mine == reference ?? mine, "\(set) \(threads)")
                    reference = mine
                }
            }
        }
    }

    /// Requests with different adapters and soft prompts, or none, on the same sweeps.
    @Test func companyWithOtherAdaptersChangesNoBit() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "cpm-live", weights: .int8, to: path)
        var file = try ModelFile(path: path)
        try file.tunings.add(AdapterFile(path: Self.path("best.pt"), for: file.configuration), named: "best")
        try file.tunings.add(AdapterFile(path: Self.path("finetuned"), for: file.configuration), named: "fine")
        try file.tunings.add(
            SoftPromptFile(path: Self.path("prompt.safetensors"), for: file.configuration), named: "one")
        try file.tunings.add(SoftPromptFile(path: Self.path("prompts.pt"), for: file.configuration), named: "table")
        var requests: [GenerationRequest] = []
        for (delta, prompt) in [
            (nil, nil), ("best", nil), ("fine", nil), ("best", "one"), ("fine", "table"), (nil, "table"),
        ]
            as [(String?, String?)]
        {
            for beams in [nil, 2] as [Int?] {
                var options = GenerationOptions(
                    decoding: beams.map { .beams($0) } ?? .sampling, maxTokens: 12, seed: 4, task: 1)
                if beams == nil { options.logprobs = 1 }
                options.delta = delta
                options.promptEmbedding = prompt
                requests.append(
                    GenerationRequest(
                        prompt: try file.rows(of: .ids([6, 30, 41, 7, 99]), options), options: options))
            }
        }
        let demands = requests.map { $0.demand(in: file.configuration) }
        let model = try Model(
            file, ModelOptions(memory: .gibibytes(1), threads: 2, capacity: .init(together: demands)))
        func run(_ requests: [GenerationRequest]) throws -> [Generation.Sample] {
            var samples: [Int: Generation.Sample] = [:]
            try model.generate(requests) { index, event in
                if case .finished(let outcome) = event { samples[index] = try? outcome.get().samples[0] }
            }
            return try requests.indices.map { try #require(samples[$0]) }
        }
        let together = try run(requests)
        for (request, shared) in zip(requests, together) {
            let alone = try run([request])[0]
            #expect(alone.ids == shared.ids && alone.score == shared.score && alone.logprobs == shared.logprobs)
        }
        // Each makes a difference.
        #expect(Set(stride(from: 0, to: together.count, by: 2).map { "\(together[$0].logprobs)" }).count == 6)
    }

    @Test func namesAreChecked() throws {
        let directory = try TemporaryDirectory()
        var file = try Fixture.tiny(in: directory)
        let adapter = try AdapterFile(path: Self.path("best.pt"), for: file.configuration)
        try file.tunings.add(adapter, named: "a")
        #expect(throws: LeafError.self) { try file.tunings.add(adapter, named: "a") }
        try file.tunings.add(adapter)
        #expect(throws: LeafError.self) { try file.tunings.add(adapter) }
        var options = GenerationOptions()
        options.delta = "b"
        let error = #expect(throws: LeafError.self) { try file.rows(of: .ids([6]), options) }
        #expect(error?.kind == .usage && error?.description.contains("there are a") == true)
    }

    @Test func thePlanCountsThem() throws {
        let directory = try TemporaryDirectory()
        var file = try Fixture.tiny(in: directory)
        let options = ModelOptions(memory: .gibibytes(1), threads: 2, capacity: .init(context: 64))
        let without = try Model.plan(file, options).bytes(for: .resident)
        let adapter = try AdapterFile(path: Self.path("finetuned"), for: file.configuration)
        try file.tunings.add(adapter)
        try file.tunings.add(SoftPromptFile(path: Self.path("prompts.pt"), for: file.configuration))
        let numbers = try adapter.factors.reduce(32 * 48) { sum, factors in
            let (a, b) = try factors.floats(.best)
            return sum + a.count + b.count
        }
        #expect(try Model.plan(file, options).bytes(for: .resident) >= without + numbers * 4)
    }
}
