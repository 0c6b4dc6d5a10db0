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

/// Golden models, converted and opened.
enum Fixture {
    /// Converts one published form of a golden model and opens it with room for the golden cases.
    static func open(
        _ model: String, form: String, weights: WeightFormat, in directory: TemporaryDirectory, kv: KVPrecision? = nil,
        activations: ActivationPrecision = .int16, threads: Int = 2, io: IOMode = .auto,
        memory: MemoryBudget = .gibibytes(1),
        instructionSet: InstructionSet? = nil
    ) throws -> Model {
        let path = directory.path("\(model)-\(form)-\(weights.rawValue).leaf")
        if !FileManager.default.fileExists(atPath: path) { try convert(model, form: form, weights: weights, to: path) }
        return try Model(
            ModelFile(path: path),
            ModelOptions(
                memory: memory, threads: threads, reading: .init(mode: io), activations: activations, kv: kv,
                instructionSet: instructionSet,
                capacity: .init(context: 360, logitRows: 320)))
    }

    static func convert(_ model: String, form: String, weights: WeightFormat, to path: String) throws {
        var source = Golden.model(model).appendingPathComponent(form)
        if form == "cpm-live" { source.appendPathComponent("\(model).pt") }
        try convert(source, weights: weights, to: path)
    }

    /// All wanted rows of each case.
    static func logits(_ model: Model, _ cases: [LogitsCase]) throws -> [[[Float]]] {
        var rows: [[[Float]]] = Array(repeating: [], count: cases.count)
        try model.logits(of: cases) { index, _, logits throws(LeafError) in rows[index].append(Array(logits)) }
        return rows
    }

    /// The logits after the prompt and after each token of the continuation, one sweep each.
    static func steps(_ model: Model, _ prompt: [Int32], _ continuation: [Int32]) throws -> [[Float]] {
        let configuration = model.file.configuration
        return try model.engine.perform { model throws(LeafError) in
            let sequence = model.cache.makeSequence()
            defer { model.cache.remove(sequence) }
            let rows = try PromptRows(ids: prompt, task: 2, segment: 2, for: configuration)
            var steps: [[Float]] = []
            var batch = RowBatch(rows: rows.rows(of: sequence, in: configuration) { $0 == prompt.count - 1 })
            for step in 0...continuation.count {
                try model.forward(batch) { _, logits throws(LeafError) in steps.append(Array(logits)) }
                if step == continuation.count { break }
                batch.rows = [rows.row(of: sequence, generated: continuation[step], step: step, in: configuration)]
            }
            return steps
        }
    }
}

extension Fixture {
    /// The demonstration model.
    static func demo(in folder: TemporaryDirectory, weights: WeightFormat = .int8) throws -> ModelFile {
        let path = folder.path("demo.leaf")
        try convert(Golden.demoModel, weights: weights, to: path)
        return try ModelFile(path: path)
    }

    /// A golden model that is over in no time.
    static func tiny(in folder: TemporaryDirectory) throws -> ModelFile {
        let path = folder.path("model.leaf")
        try convert("ant-tiny-c", form: "hf", weights: .int8, to: path)
        return try ModelFile(path: path)
    }

    static func convert(_ source: URL, weights: WeightFormat, to path: String) throws {
        var options = ConversionOptions()
        options.weights = weights
        _ = try Converter(source: source.path, output: path, options: options).run()
    }
}
