import CPMAntShape
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafSystem
import Leafcutter
import Testing

@Suite("KV cache") struct KVCacheTests {
    static let prompt: [Int32] = [6, 20, 30, 40, 50, 60, 70]

    /// Feeds tokens to a sequence one by one and gives the last row of logits.
    private func feed(
        _ tokens: [Int32], from step: Int, to sequence: SequenceID, _ rows: PromptRows, _ model: Executor,
        _ opened: Model
    ) throws(LeafError) -> [Float] {
        var last: [Float] = []
        for (index, token) in tokens.enumerated() {
            let row = rows.row(of: sequence, generated: token, step: step + index, in: opened.file.configuration)
            try model.forward(RowBatch(rows: [row])) { _, logits throws(LeafError) in last = Array(logits) }
        }
        return last
    }

    private func begin(_ rows: PromptRows, _ model: Executor, _ opened: Model) throws(LeafError) -> SequenceID {
        let sequence = model.cache.makeSequence()
        let batch = RowBatch(rows: rows.rows(of: sequence, in: opened.file.configuration) { $0 == rows.ids.count - 1 })
        try model.forward(batch) { _, _ throws(LeafError) in }
        return sequence
    }

    /// The prompt ends inside a page, so both branches write into what they share.
    @Test func forksGoTheirOwnWaysAndShareTheirPast() throws {
        let directory = try TemporaryDirectory()
        let opened = try Fixture.open("ant-tiny-c", form: "cpm-live", weights: .int8, in: directory)
        let rows = try PromptRows(ids: Self.prompt, task: 2, segment: 2, for: opened.file.configuration)
        let left = (0..<20).map { Int32(10 + $0) }
        let right = (0..<20).map { Int32(200 - $0) }
        let (alone, forked) = try opened.engine.perform { model throws(LeafError) in
            var alone: [[Float]] = []
            for branch in [left, right] {
                let sequence = try begin(rows, model, opened)
                alone.append(try feed(branch, from: 0, to: sequence, rows, model, opened))
                model.cache.remove(sequence)
            }
            let first = try begin(rows, model, opened)
            let second = model.cache.fork(first)
            var forked = [try feed(Array(left.prefix(9)), from: 0, to: first, rows, model, opened)]
            forked.append(try feed(right, from: 0, to: second, rows, model, opened))
            forked[0] = try feed(Array(left.dropFirst(9)), from: 9, to: first, rows, model, opened)
            model.cache.remove(first)
            model.cache.remove(second)
            return (alone, forked)
        }
        #expect(forked == alone)
    }

    @Test func rejectedDraftsLeaveNoTrace() throws {
        let directory = try TemporaryDirectory()
        let opened = try Fixture.open("ant-tiny-a", form: "cpm-live", weights: .int8, in: directory)
        let rows = try PromptRows(ids: Self.prompt, task: 2, segment: 2, for: opened.file.configuration)
        let (plain, afterDrafts) = try opened.engine.perform { model throws(LeafError) in
            let first = try begin(rows, model, opened)
            let plain = try feed([11, 12, 13], from: 0, to: first, rows, model, opened)
            model.cache.remove(first)
            let second = try begin(rows, model, opened)
            _ = try feed([11], from: 0, to: second, rows, model, opened)
            let kept = model.cache.length(of: second)
            _ = try feed((0..<25).map { Int32(300 + $0) }, from: 1, to: second, rows, model, opened)
            model.cache.truncate(second, to: kept)
            let afterDrafts = try feed([12, 13], from: 1, to: second, rows, model, opened)
            model.cache.remove(second)
            return (plain, afterDrafts)
        }
        #expect(plain == afterDrafts)
    }

    /// A draft that transformers takes for padding hides a position, and brings it back when it is rejected.
    @Test func whatARejectedDraftHasHiddenIsSeenAgain() throws {
        let directory = try TemporaryDirectory()
        let opened = try Fixture.open("ant-tiny-a", form: "cpm-live", weights: .int8, in: directory)
        let rows = try PromptRows(ids: Self.prompt, task: 2, segment: 2, for: opened.file.configuration)
        let first = opened.file.configuration.promptLength
        let (plain, hidden, afterDrafts) = try opened.engine.perform { model throws(LeafError) in
            func run(_ hiding: Bool, _ drafts: Bool) throws(LeafError) -> [Float] {
                let sequence = try begin(rows, model, opened)
                defer { model.cache.remove(sequence) }
                let length = model.cache.length(of: sequence)
                if hiding { model.cache.hide(first, of: sequence, with: length) }
                _ = try feed([11], from: 0, to: sequence, rows, model, opened)
                if drafts {
                    for step in 1...3 {
                        model.cache.hide(first + step, of: sequence, with: length + step)
                        _ = try feed([Int32(300 + step)], from: step, to: sequence, rows, model, opened)
                    }
                    model.cache.truncate(sequence, to: length + 1)
                }
                return try feed([12], from: 1, to: sequence, rows, model, opened)
            }
            return (
                [try run(false, false), try run(true, false)], try run(true, false),
                [try run(false, true), try run(true, true)]
            )
        }
        #expect(plain == afterDrafts)
        #expect(hidden != plain[0], "what is hidden makes a difference")
    }

    @Test func whatDoesNotFitIsRefusedAndNothingIsLost() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "cpm-live", weights: .int8, to: path)
        let model = try Model(
            ModelFile(path: path), ModelOptions(memory: .gibibytes(1), capacity: .init(context: 24, rows: 20)))
        #expect(throws: LeafError.self) {
            try model.generate(.ids(Self.prompt + Self.prompt), GenerationOptions(maxTokens: 1))
        }
        let error = #expect(throws: LeafError.self) {
            try model.generate(.ids(Self.prompt), GenerationOptions(decoding: .greedy, maxTokens: 50))
        }
        #expect(error?.kind == .tooLong)
        let short = try model.generate(.ids(Self.prompt), GenerationOptions(decoding: .greedy, maxTokens: 5))
        #expect(short.samples[0].ids.count == 5)
    }
}
