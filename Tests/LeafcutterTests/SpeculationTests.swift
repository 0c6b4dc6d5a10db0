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

/// Drafts that are right, wrong, too many, behind the end: no text changes.
@Suite("Speculation changes no byte") struct SpeculationTests {
    /// Knows what texts become, and proposes it with mistakes.
    private final class Oracle: DraftSource {
        private let texts: [(prompt: [Int32], ids: [Int32])]
        private let vocabSize: Int32
        private var random: SeededGenerator

        init(_ texts: [(prompt: [Int32], ids: [Int32])], vocabSize: Int, seed: UInt64) {
            self.texts = texts
            self.vocabSize = Int32(vocabSize)
            random = SeededGenerator(seed: seed)
        }

        func draft(
            _ texts: [any DraftedText], _ wish: DraftWish, workspace: inout SamplingWorkspace, isCancelled: () -> Bool
        ) throws(LeafError) {
            for text in texts {
                let past = Array(text.history.generated)
                let known = self.texts.filter { $0.prompt == text.prompt.ids && $0.ids.starts(with: past) }
                let coming = Array(known.randomElement(using: &random)?.ids.dropFirst(past.count) ?? [])
                for _ in 0..<Int.random(in: 0...wish.count, using: &random) { add(to: text, coming) }
            }
        }

        /// Adds a draft behind the text or behind another draft, often the one that comes.
        private func add(to text: any DraftedText, _ coming: [Int32]) {
            let nodes = text.drafts.nodes
            let right = (1...12).prefix { text.drafts.node(along: coming.prefix($0)) != nil }.count
            let isRight = Int.random(in: 0...3, using: &random) > 0 && right < coming.count
            // Some texts take no branches: their drafts are a chain.
            let last = nodes.isEmpty ? nil : nodes.count - 1
            var parent = Int?.random(below: nodes.count, &random)
            if isRight { parent = text.drafts.node(along: coming.prefix(right)) ?? nil }
            if !text.takesBranches { parent = last }
            let id = isRight ? coming[right] : Int32.random(in: 0..<vocabSize, using: &random)
            let depth = parent.map { nodes[$0].depth } ?? 0
            guard depth < text.draftLimit, text.drafts.child(id, of: parent) == nil else { return }
            text.drafts.append(id, after: parent, chance: 0.5, estimate: 0.5)
        }
    }

    private static let vocabSize = 300

    private func convert(_ directory: TemporaryDirectory, weights: WeightFormat = .int8) throws -> ModelFile {
        let path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "hf", weights: weights, to: path)
        return try ModelFile(path: path)
    }

    private func open(
        _ file: ModelFile, _ drafts: DraftOptions, kv: KVPrecision? = nil, sequences: Int = 7
    ) throws -> Model {
        try Model(file, options(drafts, kv: kv, sequences: sequences))
    }

    private func options(_ drafts: DraftOptions, kv: KVPrecision? = nil, sequences: Int = 7) -> ModelOptions {
        var options = ModelOptions(
            memory: .gibibytes(1), threads: 2, kv: kv,
            capacity: .init(context: 640, longest: 140, rows: 270, logitRows: 7, sequences: sequences),
            keepsSessions: true)
        options.drafts = drafts
        return options
    }

    /// The path of a copy of a model with fewer bits.
    private func copy(of file: ModelFile, in directory: TemporaryDirectory) throws -> String {
        let path = directory.path("copy.leaf")
        var requantization = RequantizationOptions()
        requantization.weights = .q4
        _ = try Requantizer(model: file.leaf.path, output: path, options: requantization).run()
        return path
    }

    private func oracle(_ texts: [(prompt: [Int32], ids: [Int32])], seed: UInt64) -> DraftOptions {
        var drafts = DraftOptions(.none, fixedCount: 12)
        drafts.makeSource = { Oracle(texts, vocabSize: Self.vocabSize, seed: seed) }
        return drafts
    }

    /// A request with random options; all that decides its text is in it.
    private func request(
        _ file: ModelFile, compatibility: Compatibility? = nil, _ random: inout some RandomNumberGenerator
    ) throws -> GenerationRequest {
        let prompt =
            [6] + (0..<Int.random(in: 0...40, using: &random)).map { _ in Int32.random(in: 0..<300, using: &random) }
        var options = GenerationOptions(
            maxTokens: Int.random(in: 1...40, using: &random), temperature: Float.random(in: 0.3...1.5, using: &random),
            topP: [0, 0.5, 0.9].randomElement(using: &random) ?? 0,
            topK: [0, 5].randomElement(using: &random) ?? 0, minP: [0, 0.05].randomElement(using: &random) ?? 0,
            seed: .random(in: 0...99, using: &random),
            repetitionPenalty: [1, 1.3].randomElement(using: &random) ?? 1,
            presencePenalty: [0, 0.5].randomElement(using: &random) ?? 0,
            noRepeatNgram: [0, 3].randomElement(using: &random) ?? 0, eosID: .random(in: 0..<300, using: &random),
            compatibility: compatibility ?? Compatibility.allCases.randomElement(using: &random) ?? .cpmLive,
            task: .random(in: 0..<4, using: &random), segment: .random(in: 1..<8, using: &random))
        if Bool.random(using: &random) { options.decoding = .greedy }
        if Bool.random(using: &random) { options.logprobs = 2 }
        return GenerationRequest(
            prompt: try file.rows(of: .ids(prompt), options), options: options,
            samples: Int.random(in: 1...3, using: &random))
    }

    @Test(arguments: [WeightFormat.int8, .q4], KVPrecision.allCases)
    func randomDraftsChangeNoByte(weights: WeightFormat, kv: KVPrecision) throws {
        let directory = try TemporaryDirectory()
        let file = try convert(directory, weights: weights)
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let requests = try (0..<20).map { _ in try request(file, &random) }
        let plain = try open(file, .none, kv: kv)
        let alone = try requests.map { try Answer.run([$0], on: plain)[0] }
        let texts = zip(requests, alone).flatMap { request, answer in
            answer.ids.map { (prompt: request.prompt.ids, ids: $0) }
        }
        let drafted = try open(file, oracle(texts, seed: seed), kv: kv)
        for (request, answer) in zip(requests, alone) {
            #expect(try Answer.run([request], on: drafted) == [answer], "seed \(seed), \(request.options)")
        }
        #expect(try Answer.run(requests, on: drafted) == alone, "seed \(seed), together")
        #expect(drafted.speculation.accepted > 0, "seed \(seed)")
        #expect(drafted.speculation.drafted > drafted.speculation.accepted, "seed \(seed)")
    }

    /// A copy with fewer bits drafts in the model's own cache, another model in one of its own.
    @Test(arguments: [true, false]) func aModelThatDraftsChangesNoByte(isCopy: Bool) throws {
        let directory = try TemporaryDirectory()
        let file = try convert(directory)
        let path = try isCopy ? copy(of: file, in: directory) : file.leaf.path
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let requests = try (0..<12).map { _ in try request(file, &random) }
        let plain = try open(file, .none)
        let alone = try requests.map { try Answer.run([$0], on: plain)[0] }
        for count in [nil, 1, 7] {
            var drafts = DraftOptions(.model(try ModelFile(path: path)), fixedCount: count)
            // It drafts, though everything is in memory and it does not pay.
            drafts.lentBlocks = 0
            let drafted = try open(file, drafts)
            #expect(drafted.speculation.mode == path)
            for (request, answer) in zip(requests, alone) {
                #expect(try Answer.run([request], on: drafted) == [answer], "seed \(seed), \(request.options)")
            }
            #expect(try Answer.run(requests, on: drafted) == alone, "seed \(seed), together")
            if count != nil { #expect(drafted.speculation.accepted > 0, "seed \(seed)") }
        }
    }

    /// By the reference's own rules no token is padding, which a draft would not know.
    @Test func theModelItselfGuessesEachToken() throws {
        let directory = try TemporaryDirectory()
        let file = try convert(directory)
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let requests = try (0..<8).map { _ in try request(file, compatibility: .cpmLive, &random) }
        let drafted = try open(file, DraftOptions(.model(ModelFile(path: file.leaf.path)), fixedCount: 1))
        _ = try Answer.run(requests, on: drafted)
        #expect(drafted.speculation.accepted == drafted.speculation.drafted, "seed \(seed)")
        #expect(drafted.speculation.accepted > 0, "seed \(seed)")
    }

    /// The model's blocks that a copy computes with leave the copy's own out of memory.
    @Test func everyDivisionOfTheMemoryGivesTheSameBytes() throws {
        let directory = try TemporaryDirectory()
        let file = try convert(directory)
        let copy = try ModelFile(path: copy(of: file, in: directory))
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let requests = try (0..<4).map { _ in try request(file, &random) }
        let alone = try Answer.run(requests, on: try open(file, .none))
        var lastPlan: MemoryPlan?
        for lent in 0...file.leaf.blocks.count {
            var drafts = DraftOptions(.model(copy), fixedCount: 5)
            drafts.lentBlocks = lent
            var options = options(drafts)
            options.memory = .bytes(try Model.plan(file, options).minimum)
            let model = try Model(file, options)
            #expect(try Answer.run(requests, on: model) == alone, "seed \(seed), \(lent) blocks")
            #expect(model.speculation.mode == copy.leaf.path && model.speculation.accepted > 0, "\(lent) blocks")
            #expect(model.plan.total <= model.plan.budget)
            // A block more that stays is one less in the copy.
            if let lastPlan {
                #expect(model.plan.bytes(for: .drafts) < lastPlan.bytes(for: .drafts), "\(lent) blocks")
                #expect(model.plan.pinnedChunks.count >= lastPlan.pinnedChunks.count, "\(lent) blocks")
            }
            lastPlan = model.plan
            // Where weights have to leave, the copy rests, and goes on when they are back.
            model.pinnedBytes = 0
            #expect(try Answer.run(requests, on: model) == alone, "seed \(seed), \(lent) blocks without memory")
            model.pinnedBytes = .max
            #expect(try Answer.run(requests, on: model) == alone, "seed \(seed), \(lent) blocks once more")
            #expect(model.speculation.mode == copy.leaf.path, "\(lent) blocks")
        }
    }

    @Test func theShareOfRightDraftsIsFoundAndKept() throws {
        let directory = try TemporaryDirectory()
        let file = try convert(directory)
        let draft = try ModelFile(path: copy(of: file, in: directory))
        for (share, length) in [(0.3, 4), (0.6, 8), (0.8, 16), (0.95, 16)] {
            let right = (1...length).reduce(0) { $0 + pow(share, Double($1)) }
            let found = KeptAcceptance.acceptance(
                trees: 10_000, drafts: 10_000 * length, accepted: Int(10_000 * right), areChains: true)
            #expect(abs(found - share) < 0.001, "\(share), \(length): \(found)")
        }
        #expect(KeptAcceptance.acceptance(trees: 0, drafts: 0, accepted: 0, areChains: true) < 0.001)

        var kept = try KeptAcceptance(beside: draft.leaf.path)
        #expect(kept.acceptance(of: draft, for: file) == nil)
        kept.add(of: draft, for: file, trees: 2, levels: 8, drafts: 8, accepted: 4)
        #expect(kept.acceptance(of: draft, for: file) == nil, "too little is known")
        for _ in 0..<3 {
            kept.add(of: draft, for: file, trees: 1 << 19, levels: 1 << 20, drafts: 1 << 20, accepted: 3 << 18)
        }
        kept.add(of: file, for: draft, trees: 100, levels: 800, drafts: 900, accepted: 0)
        try KeptAcceptance.update(beside: draft.leaf.path) { $0 = kept }
        #expect(try KeptAcceptance(beside: draft.leaf.path) == kept)
        #expect(try DraftOptions(named: draft.leaf.path).kept == kept)
        // 1.5 of 2 are right: a + a^2.
        let acceptance = try #require(kept.acceptance(of: draft, for: file))
        #expect(abs(acceptance.chance - 0.8229) < 0.01)
        let path = KeptAcceptance.path(beside: draft.leaf.path)
        // What would be more than a million was halved.
        #expect(acceptance == .kept(acceptance.chance, guesses: 917_505, file: path))
        #expect(kept.acceptance(of: draft, for: draft) == nil)

        // Runs that end at the same time lose nothing of each other.
        try FilePath.remove(KeptAcceptance.path(beside: draft.leaf.path))
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            try? KeptAcceptance.update(beside: draft.leaf.path, patience: .seconds(60)) {
                $0.add(of: draft, for: file, trees: 16, levels: 64, drafts: 64, accepted: 32)
            }
        }
        let text = try String(contentsOfFile: KeptAcceptance.path(beside: draft.leaf.path), encoding: .utf8)
        #expect(text.contains(#""levels":512,"#), "\(text)")

        for text in ["", "{}", #"{"acceptance":[{"model":"a","draft":"b","sweeps":1,"drafted":1,"accepted":2}]}"#] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: KeptAcceptance.path(beside: draft.leaf.path)))
            let error = #expect(throws: LeafError.self) { try KeptAcceptance.check(beside: draft.leaf.path) }
            #expect(try DraftOptions(named: draft.leaf.path).keptProblem?.description == error?.description)
            #expect(error?.kind == .badInput && error?.description.contains("remove it") == true, "\(text)")
        }
    }

    @Test func whatIsNoFileOfDraftsIsSaidSo() throws {
        let directory = try TemporaryDirectory()
        let draft = directory.path("d.leaf")
        #expect(mkfifo(KeptAcceptance.path(beside: draft), 0o600) == 0)
        let error = #expect(throws: LeafError.self) { try KeptAcceptance.check(beside: draft) }
        #expect(error?.description.contains("is not a regular file; remove it") == true)
    }

    /// What is cut off between two sweeps, or within one, goes on to the same bytes, and leaves the same file.
    @Test func sessionsAreThoseWithoutDrafts() throws {
        let directory = try TemporaryDirectory()
        let file = try convert(directory)
        let options = GenerationOptions(maxTokens: 60, seed: 3, eosID: 299)
        let prompt = Prompt.ids([6, 20, 30, 40, 11, 199])
        let plain = try open(file, .none)
        let whole = try plain.generate(prompt, options)
        let drafts = oracle([(prompt: [6, 20, 30, 40, 11, 199], ids: whole.samples[0].ids)], seed: 5)
        func run(_ model: Model, _ name: String, stopAfter: [Int]) throws -> (Generation, Data) {
            let path = directory.path(name)
            for limit in stopAfter {
                let cancellation = Cancellation()
                var pieces = 0
                _ = try model.generate(
                    prompt, options, session: Session(path: path), cancellation: cancellation,
                    onPiece: { _ in
                        pieces += 1
                        if pieces == limit { cancellation.cancel() }
                    })
            }
            let generation = try model.generate(prompt, options, session: Session(path: path))
            return (generation, try Data(contentsOf: URL(fileURLWithPath: path)))
        }
        let (_, expected) = try run(plain, "plain", stopAfter: [])
        for stops in [[], [3], [8, 15], [1, 2, 20, 41]] {
            let (generation, bytes) = try run(try open(file, drafts), "drafted \(stops)", stopAfter: stops)
            #expect(generation.samples[0].ids == whole.samples[0].ids, "\(stops)")
            #expect(bytes == expected, "\(stops)")
        }
    }

    @Test func aDraftNeedsTheModelsVocabulary() throws {
        let directory = try TemporaryDirectory()
        let file = try convert(directory)
        let other = directory.path("other.leaf")
        try Fixture.convert("ant-tiny-a", form: "hf", weights: .int8, to: other)
        #expect(throws: LeafError.self) { try open(file, DraftOptions(.model(ModelFile(path: other)))) }
        #expect(throws: LeafError.self) { try open(file, DraftOptions(.ngrams, fixedCount: 0)) }
    }
}

extension DraftTree {
    /// The node to which tokens lead: nil within for the text itself, nil if nobody guessed them.
    fileprivate func node(along tokens: ArraySlice<Int32>) -> Int?? {
        var node: Int?
        for token in tokens {
            guard let next = child(token, of: node) else { return nil }
            node = next
        }
        return .some(node)
    }
}

extension Int? {
    /// Nil or a number below another one.
    fileprivate static func random(below end: Int, _ generator: inout SeededGenerator) -> Int? {
        let number = Int.random(in: 0...end, using: &generator)
        return number == end ? nil : number
    }
}
