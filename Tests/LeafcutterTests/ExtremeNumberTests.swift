import Foundation
import GoldenSupport
import LeafFormat
import LeafGeneration
import LeafImport
import LeafSystem
import Leafcutter
import Testing

/// Whatever number stands in a public option, the answer is a sentence or a result, never a trap.
@Suite("Extreme numbers") struct ExtremeNumberTests {
    private static let integers = [Int.min, Int.min + 1, -1, 0, 1, 17, 1 << 24, 1 << 40, Int.max - 1, Int.max]
    private static let floats: [Float] = [
        -.infinity, -.greatestFiniteMagnitude, -1, -0.0, 0, .leastNonzeroMagnitude, 1, .greatestFiniteMagnitude,
        .infinity, .nan,
    ]
    private let directory: TemporaryDirectory
    private let file: ModelFile

    init() throws {
        directory = try TemporaryDirectory()
        file = try Fixture.tiny(in: directory)
    }

    /// All that is asked before a model is opened.
    private func plan(_ demands: [Demand]) {
        for memory in [MemoryBudget.gibibytes(1), .bytes(.max)] {
            let options = ModelOptions(memory: memory, threads: 2)
            for startTogether in [true, false] {
                var options = options
                options.capacity = .init(together: demands, startTogether: startTogether)
                _ = try? Model.plan(file, options)
            }
            for sequences in Self.integers {
                _ = try? Demand.fitting(demands, sequences: sequences, file, options)
            }
        }
    }

    @Test func optionsOfAGeneration() throws {
        var changes: [(inout GenerationOptions) -> Void] = []
        for number in Self.integers {
            let id = Int32(clamping: number)
            changes += [
                { $0.maxTokens = number }, { $0.topK = number }, { $0.repetitionWindow = number },
                { $0.noRepeatNgram = number }, { $0.eosID = id }, { $0.task = number }, { $0.segment = number },
                { $0.logprobs = number }, { $0.decoding = .beams(number) }, { $0.logitBias = [id: 1] },
                { ($0.decoding, $0.maxTokens) = (.beams(4), number) },
                { ($0.compatibility, $0.maxTokens) = (.transformersUncached, number) },
            ]
        }
        for number in Self.floats {
            changes += [
                { $0.temperature = number }, { $0.topP = number }, { $0.minP = number },
                { $0.repetitionPenalty = number }, { $0.frequencyPenalty = number }, { $0.presencePenalty = number },
                { $0.lengthPenalty = number }, { $0.logitBias = [20: number] },
            ]
        }
        let model = try Model(
            file,
            ModelOptions(memory: .gibibytes(1), threads: 2, capacity: .init(context: 64, logitRows: 8, sequences: 8))
        )
        let prompt = try file.rows(of: .ids([6, 20]), GenerationOptions())
        for change in changes {
            var options = GenerationOptions(maxTokens: 3, seed: 1)
            change(&options)
            let request = GenerationRequest(prompt: prompt, options: options)
            plan([request.demand(in: file.configuration)])
            _ = try? model.generate(.ids([6, 20]), options)
            // What it refuses it also refuses where blanks are filled.
            let blanks = FillRequest(context: prompt, blanks: [.init(position: 1, length: 1)], options: options)
            _ = blanks.demands(in: file.configuration)
            _ = try? model.answer([blanks]) { _, _ in }
        }
        for samples in Self.integers {
            for compatibility in [Compatibility.cpmLive, .transformersUncached] {
                let options = GenerationOptions(maxTokens: 10_000_000, compatibility: compatibility)
                let request = GenerationRequest(prompt: prompt, options: options, samples: samples)
                plan([request.demand(in: file.configuration)])
                plan(Array(repeating: request.demand(in: file.configuration), count: 3))
                #expect(throws: LeafError.self) { try model.generate(.ids([6]), options, samples: samples) }
            }
        }
        try model.expectNothingIsLeft()
    }

    @Test func promptsThatWereTamperedWith() throws {
        let model = try Model(
            file, ModelOptions(memory: .gibibytes(1), threads: 2, capacity: .init(context: 64, logitRows: 8)))
        let good = try file.rows(of: .ids([6, 20]), GenerationOptions())
        var spoiled: [PromptRows] = []
        for number in Self.integers {
            var rows = good
            rows.task = number
            spoiled.append(rows)
            rows = good
            rows.segment = Int32(clamping: number)
            spoiled.append(rows)
            rows = good
            rows.ids = [6, Int32(clamping: number)]
            spoiled.append(rows)
            rows = good
            rows.tuning = TextTuning(adapter: number)
            spoiled.append(rows)
            rows.tuning = TextTuning(softPromptRow: number)
            spoiled.append(rows)
            #expect(throws: LeafError.self) {
                let rows = try PromptRows(ids: [6], task: number, segment: number, for: file.configuration)
                if rows.task == 0 || rows.task == 1 { throw LeafError(.usage, "a good one") }
            }
        }
        for rows in spoiled {
            var isAnswered = false
            do throws(LeafError) {
                try model.answer([ScoreRequest(context: rows, target: [30])]) { _, _ in isAnswered = true }
                try model.answer([EmbeddingRequest(text: rows)]) { _, _ in }
                try model.answer([GenerationRequest(prompt: rows, options: GenerationOptions(maxTokens: 1))]) { _, _ in
                }
            } catch {
                #expect(error.kind == .usage)
                isAnswered = true
            }
            #expect(isAnswered)
        }
        try model.expectNothingIsLeft()
    }

    @Test func blanksAndCases() throws {
        let model = try Model(
            file, ModelOptions(memory: .gibibytes(1), threads: 2, capacity: .init(context: 64, logitRows: 8)))
        let context = try file.rows(of: .ids([6, 20, 7]), .filling)
        for number in Self.integers {
            for request in [
                FillRequest(context: context, blanks: [.init(position: number, length: 1)]),
                FillRequest(context: context, blanks: [.init(position: 1, length: number)]),
                FillRequest(context: context, blanks: [.init(position: 1, length: nil)], longest: number),
                FillRequest(context: context, blanks: [], longest: number),
            ] {
                _ = request.sequences
                plan(request.demands(in: file.configuration) + [request.demand(in: file.configuration)])
                _ = try? model.answer([request]) { _, _ in }
            }
            for text in [
                LogitsCase(id: "a", inputIDs: [6], task: number), LogitsCase(id: "a", inputIDs: [6], segment: number),
                LogitsCase(id: "a", input: [6], length: number, context: [1], segment: [0], span: [0]),
                LogitsCase(
                    id: "a", input: Array(repeating: 1, count: 12), length: 2,
                    context: Array(repeating: number, count: 12),
                    segment: Array(repeating: number, count: 12),
                    span: Array(repeating: Int32(clamping: number), count: 12)),
                LogitsCase(
                    id: "a", input: Array(repeating: Int32(clamping: number), count: 12), length: 2,
                    context: Array(repeating: 1, count: 12), segment: Array(repeating: 0, count: 12),
                    span: Array(repeating: 0, count: 12)),
            ] {
                plan([file.logitsRequest(of: text) { _, _ throws(LeafError) in }.demand(in: file.configuration)])
                _ = try? model.logits(of: [text]) { _, _, _ throws(LeafError) in }
            }
        }
        try model.expectNothingIsLeft()
    }

    @Test func capacitiesAndModelOptions() throws {
        var changes: [(inout ModelOptions) -> Void] = []
        for number in Self.integers {
            changes += [
                { $0.capacity.pages = number }, { $0.capacity.longest = number }, { $0.capacity.firstRows = number },
                { $0.capacity.stepRows = number }, { $0.capacity.logitRows = number },
                { $0.capacity.sequences = number }, { $0.capacity.heapBytes = number },
                { $0.callerBytes = number }, { $0.threads = number }, { $0.memory = .bytes(number) },
                { $0.requestLimit = number }, { $0.reading.maxBytesPerSecond = number },
                {
                    $0.capacity = .init(context: number, rows: number, logitRows: number, sequences: number)
                    $0.memory = .bytes(.max)
                },
                { ($0.capacity.heapBytes, $0.callerBytes, $0.memory) = (number, number, .bytes(.max)) },
            ]
            for other in Self.integers {
                changes.append {
                    $0.capacity = .init(context: number, rows: other, logitRows: other, sequences: number)
                }
            }
        }
        var refused = 0
        for change in changes {
            var options = ModelOptions(memory: .gibibytes(1), threads: 2)
            change(&options)
            do throws(LeafError) {
                _ = try Model.plan(file, options)
            } catch {
                refused += 1
                #expect([.usage, .budget].contains(error.kind), "\(error)")
                #expect(!error.description.contains("--"))
            }
        }
        #expect(refused > changes.count / 2)
        for count in [Double.nan, .infinity, -.infinity, -1, 1e300, 0, 1] {
            guard case .bytes(let bytes) = MemoryBudget.gibibytes(count) else { continue }
            #expect(bytes >= 0 && MemoryBudget.mebibytes(count) != .automatic)
        }
    }

    @Test func benchmarksSurveysAndSessions() throws {
        let model = try Model(file, ModelOptions(memory: .gibibytes(1), threads: 2, capacity: .init(context: 64)))
        for number in Self.integers {
            for benchmark in [
                Benchmark(promptTokens: number, generatedTokens: 1, repeats: 1),
                Benchmark(promptTokens: 1, generatedTokens: number, repeats: 1),
                Benchmark(promptTokens: 1, generatedTokens: 1, batch: number, repeats: 1),
                Benchmark(promptTokens: number, generatedTokens: number, batch: number, repeats: number),
            ] {
                var options = ModelOptions(memory: .gibibytes(1), threads: 2)
                options.capacity = benchmark.capacity(for: file.configuration)
                _ = try? Model.plan(file, options)
                _ = try? model.run(benchmark) { _, _ in }
            }
            var survey = DemandSurvey(sequences: number)
            for pages in Self.integers {
                survey.add(
                    Demand(
                        pages: pages, sequences: number, longest: pages, firstRows: number, stepRows: pages,
                        logitRows: number, heapBytes: number))
            }
            plan(survey.demands)
            _ = try? Session(path: directory.path("a.session"), interval: number)
            var answered = 0
            var taken = 0
            try model.answer(
                ahead: number,
                next: { () throws(LeafError) -> EmbeddingRequest? in
                    taken += 1
                    return taken > 3
                        ? nil : EmbeddingRequest(text: try file.rows(of: .ids([6, 20]), GenerationOptions()))
                }, onAnswer: { _, _ in answered += 1 })
            #expect(answered == 3)
        }
    }

    @Test func conversionsExportsAndMeasurements() throws {
        for number in Self.integers {
            var conversion = ConversionOptions()
            conversion.threads = min(number, 1 << 24)
            conversion.replacesExisting = true
            let source = Golden.model("ant-tiny-c").appendingPathComponent("hf").path
            for budget in [nil, number] {
                conversion.memoryBudget = budget
                _ = try? Converter(source: source, output: directory.path("again.leaf"), options: conversion).run()
            }
            var export = ExportOptions()
            export.shardBytes = number
            export.replacesExisting = true
            let exporter = Exporter(
                model: directory.path("model.leaf"), folder: directory.path("folder"), options: export)
            _ = try? exporter.run()
            // What makes sense is measured for fifteen seconds.
            if !(1...1024).contains(number) {
                #expect(throws: LeafError.self) {
                    try MachineRates.measure(for: file, rows: [number], threads: number)
                }
            }
        }
        for rows in Self.floats {
            var run = Verdict.Run()
            run.decodeRows = Double(rows)
            run.decodeSeconds = Double(rows)
            #expect(!"\(Verdict(run) { nil })".isEmpty)
        }
    }
}
