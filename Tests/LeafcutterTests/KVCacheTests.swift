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

    /// A random tree of drafts, and where its rows lie: a token, the draft before it, a place.
    private func randomTree(
        _ count: Int, behind trunk: Int, pages: Int, _ random: inout SeededGenerator
    ) -> DraftTree {
        var tree = DraftTree(capacity: count)
        for _ in 0..<count {
            let parent = Int.random(in: -1..<tree.count, using: &random)
            let token = Int32.random(in: 0..<300, using: &random)
            guard tree.child(token, of: parent < 0 ? nil : parent) == nil else { continue }
            tree.append(token, after: parent < 0 ? nil : parent, chance: 1, estimate: 1)
        }
        tree.arrange(behind: trunk, pages: pages)
        return tree
    }

    /// The bytes of the pages that hold a sequence.
    private func bytes(of sequence: SequenceID, _ model: Executor) -> [[UInt8]] {
        model.cache.pages(of: sequence, length: model.cache.length(of: sequence)).map {
            Array(model.cache.contents(ofPage: $0))
        }
    }

    /// A row sees the drafts before it on its own path alone, wherever they lie, and its sums have the order that they
    /// have without the others. The path that stays leaves the bytes that decoding leaves.
    @Test(arguments: KVPrecision.allCases) func draftsOfATreeHaveTheBitsOfTextsDecodedAlone(kv: KVPrecision) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "cpm-live", weights: .int8, to: path)
        let opened = try Model(
            ModelFile(path: path),
            ModelOptions(memory: .gibibytes(1), threads: 2, kv: kv, capacity: .init(context: 400, logitRows: 40)))
        let rows = try PromptRows(ids: Self.prompt, task: 2, segment: 2, for: opened.file.configuration)
        let configuration = opened.file.configuration
        var random = SeededGenerator(seed: 97)
        for round in 0..<12 {
            let past = (0..<(1 + 3 * round)).map { Int32(10 + $0) }
            let trunk = rows.length(in: configuration) + past.count
            let tree = randomTree(24, behind: trunk, pages: 2 + round % 5, &random)
            #expect(tree.count > 3)
            let kept = Int.random(in: 0..<tree.count, using: &random)
            try opened.engine.perform { model throws(LeafError) in
                let sequence = try begin(rows, model, opened)
                _ = try feed(past, from: 0, to: sequence, rows, model, opened)
                var batch = RowBatch()
                for node in tree.nodes {
                    var row = rows.row(
                        of: sequence, generated: node.token, step: past.count + node.depth - 1, in: configuration)
                    let parent = node.parent.map { tree[$0].place } ?? trunk - 1
                    row.branch = RowBatch.Row.Branch(place: node.place, behind: parent)
                    batch.rows.append(row)
                }
                var found: [[Float]] = []
                try model.forward(batch) { _, logits throws(LeafError) in found.append(Array(logits)) }
                for (index, logits) in found.enumerated() {
                    let alone = try begin(rows, model, opened)
                    let expected = try feed(past + tree.path(to: index), from: 0, to: alone, rows, model, opened)
                    #expect(logits == expected, "round \(round), draft \(index)")
                    if index == kept {
                        var path: [Int] = []
                        var next: Int? = kept
                        while let node = next { (path, next) = ([tree[node].place] + path, tree[node].parent) }
                        let copy = model.cache.fork(sequence)
                        model.settle(copy, at: trunk, path: path)
                        #expect(bytes(of: copy, model) == bytes(of: alone, model), "round \(round)")
                        let after = try feed([7, 8], from: past.count + path.count, to: copy, rows, model, opened)
                        let further = try feed([7, 8], from: past.count + path.count, to: alone, rows, model, opened)
                        #expect(after == further)
                        model.cache.remove(copy)
                    }
                    model.cache.remove(alone)
                }
                model.cache.remove(sequence)
                #expect(model.cache.freePageCount == model.cache.pageCount)
            }
        }
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
