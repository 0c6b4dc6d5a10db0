import CPMAntShape
import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import Leafcutter
import Testing

/// Against a plain second way of filling blanks: the whole text computed anew under the training mask for every token.
@Suite("Blanks") struct FillTests {
    private static let models: [(String, WeightFormat)] = [
        ("ant-tiny-a", .int8), ("ant-tiny-c", .int8), ("ant-tiny-pruned", .int8), ("ant-tiny-a", .float32),
        ("ant-tiny-pruned", .float32),
    ]

    private func file(
        _ directory: TemporaryDirectory, _ model: String = "ant-tiny-c", _ weights: WeightFormat = .int8
    ) throws -> ModelFile {
        let path = directory.path("\(model)-\(weights).leaf")
        if !FileManager.default.fileExists(atPath: path) {
            try Fixture.convert(model, form: "cpm-live", weights: weights, to: path)
        }
        return try ModelFile(path: path)
    }

    private func open(_ file: ModelFile, _ capacity: Demand) throws -> Model {
        try Model(file, ModelOptions(memory: .gibibytes(1), threads: 2, capacity: capacity))
    }

    /// Room for the second way as well, which wants the logits of all rows.
    private func open(_ file: ModelFile) throws -> Model {
        try open(file, .init(context: 800, rows: 400, logitRows: 160, sequences: 12, heapBytes: 64 << 20))
    }

    private func request(
        _ lengths: [Int?], after positions: [Int], context: [Int32], longest: Int = 4,
        _ options: GenerationOptions = .filling, for file: ModelFile
    ) throws -> FillRequest {
        FillRequest(
            context: try file.rows(of: .ids(context), options),
            blanks: zip(positions, lengths).map { FillRequest.Blank(position: $0, length: $1) }, longest: longest,
            options: options)
    }

    /// A text of up to 40 tokens with up to five blanks, some side by side.
    private func randomRequest(
        open: Bool, _ options: GenerationOptions, for file: ModelFile, _ random: inout some RandomNumberGenerator
    ) throws -> FillRequest {
        let vocabSize = Int32(file.configuration.vocabSize)
        let context =
            [6]
            + (0..<Int.random(in: 1...40, using: &random)).map { _ in Int32.random(in: 8..<vocabSize, using: &random) }
            + [7]
        let positions = (0..<Int.random(in: 1...5, using: &random))
            .map { _ in Int.random(in: 1...context.count, using: &random) }.sorted()
        let lengths = positions.map { _ -> Int? in
            let length = [1, 1, 2, 3, 17].randomElement(using: &random) ?? 1
            return open ? (Bool.random(using: &random) ? nil : min(length, 3)) : length
        }
        return try request(lengths, after: positions, context: context, longest: 3, options, for: file)
    }

    private func fill(_ requests: [FillRequest], _ model: Model) throws -> [Filling] {
        var fillings: [Int: Result<Filling, LeafError>] = [:]
        try model.answer(requests) { fillings[$0] = $1 }
        return try requests.indices.map { try #require(fillings[$0]).get() }
    }

    @Test(arguments: models)
    func tokensAreThoseOfTheWholeTextComputedAnew(name: String, weights: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        let file = try file(directory, name, weights)
        let model = try open(file)
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        var options = GenerationOptions.filling
        options.logprobs = file.configuration.vocabSize
        for round in 0..<6 {
            let request = try randomRequest(open: round > 3, options, for: file, &random)
            let filling = try fill([request], model)[0]
            let plain = try PlainFilling(request, model)
            #expect(filling.blanks.map(\.start) == plain.starts, "seed \(seed)")
            if weights == .int8 {
                #expect(filling.ids == plain.ids, "seed \(seed)")
                #expect(filling.blanks.map(\.tokens) == plain.blanks, "seed \(seed)")
            } else {
                #expect(filling.blanks.map(\.ids) == plain.blanks.map { $0.map(\.chosen.id) }, "seed \(seed)")
                for (mine, other) in zip(filling.blanks.flatMap(\.tokens), plain.blanks.joined()) {
                    for (mine, other) in zip(mine.top, other.top) {
                        #expect(abs(mine.logprob - other.logprob) < Double(logitTolerance), "seed \(seed)")
                    }
                }
            }
        }
    }

    /// A sweep for each token, but for those that begin a blank after the first: they come with the token before.
    @Test func blanksOfOneTokenAreFilledOnOneSweep() throws {
        let directory = try TemporaryDirectory()
        let file = try file(directory)
        let model = try open(file)
        let context: [Int32] = [6, 20, 30, 40, 50, 60, 7]
        let cases: [([Int?], [Int], Int)] = [
            ([1, 1, 1], [2, 3, 5], 1), ([1, 3], [2, 4], 3), ([2, 2], [2, 4], 3), ([2, 2], [3, 3], 4),
        ]
        for (lengths, positions, sweeps) in cases {
            let filling = try fill([try request(lengths, after: positions, context: context, for: file)], model)[0]
            #expect(filling.sweeps == sweeps, "\(lengths) \(positions)")
        }
        let before = model.counters.sweeps
        let open = try fill([try request([nil], after: [3], context: context, for: file)], model)[0]
        #expect(open.sweeps == 4)
        #expect(model.counters.sweeps - before == 4)
    }

    /// All pairs of tokens, one after the other.
    @Test func wideBeamsFindTheBestOfAllFillings() throws {
        let directory = try TemporaryDirectory()
        let file = try file(directory)
        var options = GenerationOptions.filling
        options.decoding = .beams(100)
        let request = try request([2], after: [3], context: [6, 20, 30, 40, 50, 7], options, for: file)
        let demands = request.demands(in: file.configuration)
        let found = try fill([request], try open(file, .init(together: demands)))[0].blanks[0]

        let model = try open(file)
        let pass = WholeText(request: request)
        let firsts = try pass.logprobs([[nil, nil]], predicting: 0, model)
        var best = (ids: [Int32](), logprob: -Double.infinity)
        for (first, logprob) in firsts.enumerated() {
            let seconds = try pass.logprobs([[Int32(first), nil]], predicting: 1, model)
            for (second, other) in seconds.enumerated() where logprob + other > best.logprob {
                best = ([Int32(first), Int32(second)], logprob + other)
            }
        }
        #expect(found.ids == best.ids)
        #expect(abs(found.logprob - best.logprob) < 1e-5)
    }

    /// Several blanks; pages of the context are shared, those of the blanks copied.
    @Test func beamsAreThoseOfAPlainSearch() throws {
        let directory = try TemporaryDirectory()
        let file = try file(directory)
        let model = try open(file)
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        var options = GenerationOptions.filling
        options.decoding = .beams(3)
        for _ in 0..<4 {
            let request = try randomRequest(open: false, options, for: file, &random)
            let plain = try PlainFilling(request, model)
            // Exactly the room that it asks for, over and over.
            let tight = try open(file, .init(together: request.demands(in: file.configuration)))
            for _ in 0..<3 {
                let filling = try fill([request], tight)[0]
                #expect(filling.ids == plain.ids, "seed \(seed)")
                #expect(filling.blanks.map { $0.tokens.map(\.chosen) } == plain.blanks.map { $0.map(\.chosen) })
            }
        }
    }

    /// Lengths one after the other, or all at once, and beside other work: the same bytes.
    @Test func roomAndCompanyChangeNothing() throws {
        let directory = try TemporaryDirectory()
        let file = try file(directory)
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let decodings: [GenerationOptions.Decoding] = [.greedy, .sampling, .beams(2)]
        let requests = try (0..<9).map { number in
            var options = GenerationOptions.filling
            options.decoding = decodings[number % 3]
            options.seed = UInt64(number)
            options.repetitionPenalty = number > 5 ? 1.5 : 1
            return try randomRequest(open: true, options, for: file, &random)
        }
        let roomy = try open(file)
        let alone = try requests.map { try fill([$0], roomy)[0] }
        let narrow = requests.flatMap { $0.demands(in: file.configuration) }.reduce(.nothing) {
            $0 | Demand(together: [$1])
        }
        for model in [roomy, try open(file, narrow)] {
            for (filling, expected) in zip(try fill(requests, model), alone) {
                #expect(filling.ids == expected.ids, "seed \(seed)")
                #expect(filling.blanks.map(\.tokens) == expected.blanks.map(\.tokens), "seed \(seed)")
            }
        }
    }

    /// Rules look back on all that was filled, whatever sweeps and stages it came with.
    @Test func noTokenComesTwiceIfThatIsForbidden() throws {
        let directory = try TemporaryDirectory()
        let file = try file(directory)
        let model = try open(file)
        for decoding in [GenerationOptions.Decoding.greedy, .sampling, .beams(2)] {
            var options = GenerationOptions.filling
            options.decoding = decoding
            options.noRepeatNgram = 1
            options.topK = 3
            let request = try request(
                [1, 1, nil, 2, nil, 1], after: [2, 3, 3, 4, 5, 6], context: [6, 20, 20, 20, 20, 20, 20, 7], options,
                for: file)
            let ids = try fill([request], model)[0].blanks.flatMap(\.ids)
            #expect(Set(ids).count == ids.count, "\(ids)")
        }
    }

    @Test func drawingFromOneTokenIsGreedy() throws {
        let directory = try TemporaryDirectory()
        let file = try file(directory)
        let model = try open(file)
        var options = GenerationOptions.filling
        let context: [Int32] = [6, 20, 30, 40, 50, 60, 7]
        let greedy = try fill([try request([3, nil], after: [2, 4], context: context, options, for: file)], model)[0]
        options.decoding = .sampling
        options.topK = 1
        let drawn = try fill([try request([3, nil], after: [2, 4], context: context, options, for: file)], model)[0]
        #expect(drawn.ids == greedy.ids)
        options.topK = 0
        options.temperature = 5
        let texts = try [UInt64](0..<4).map { seed in
            options.seed = seed
            return try fill([try request([3], after: [2], context: context, options, for: file)], model)[0].ids
        }
        #expect(Set(texts).count > 1)
    }

    @Test func requestsThatMakeNoSenseAreRefused() throws {
        let directory = try TemporaryDirectory()
        let file = try file(directory)
        let model = try open(file)
        func refusal(
            _ lengths: [Int?], after positions: [Int], longest: Int = 4,
            _ change: (inout GenerationOptions) -> Void = { _ in }
        ) throws -> String {
            var options = GenerationOptions.filling
            change(&options)
            let request = try request(
                lengths, after: positions, context: [6, 20, 7], longest: longest, options, for: file)
            let error = #expect(throws: LeafError.self) { try model.answer([request]) { _, _ in } }
            #expect(error?.kind == .usage)
            return error?.description ?? ""
        }
        #expect(try refusal([], after: []).contains("no blank"))
        #expect(try refusal([0], after: [1]).contains("0 tokens"))
        #expect(try refusal([4097], after: [1]).contains("4097"))
        #expect(try refusal([1], after: [0]).contains("behind <s>"))
        #expect(try refusal([1], after: [4]).contains("stands at 4"))
        #expect(try refusal([1, 1], after: [2, 1]).contains("stands at 1"))
        #expect(try refusal([nil], after: [1], longest: 0).contains("longest blank of 0"))
        #expect(try refusal([nil], after: [1], longest: 257).contains("257"))
        #expect(try refusal([1], after: [1]) { $0.stop = ["x"] }.contains("stop strings"))
        #expect(try refusal([1], after: [1]) { $0.compatibility = .transformers }.contains("cpm-live"))

        var outcome: Result<Filling, LeafError>?
        try model.answer([try request([4000], after: [2], context: [6, 20, 7], for: file)]) { outcome = $1 }
        guard case .failure(let error)? = outcome else {
            Issue.record("4000 tokens fitted")
            return
        }
        #expect(error.kind == .tooLong)
    }

    @Test func cancellingEndsIt() throws {
        let directory = try TemporaryDirectory()
        let file = try file(directory)
        let model = try open(file)
        var outcome: Result<Filling, LeafError>?
        let request = try request([300, nil], after: [2, 2], context: [6, 20, 7], for: file)
        let cancellation = Cancellation()
        cancellation.cancel()
        try model.answer([request], cancellation: cancellation, onAnswer: { outcome = $1 })
        guard case .failure(let error)? = outcome else {
            Issue.record("it went on")
            return
        }
        #expect(error.kind == .cancelled)
    }
}

/// One text of definite lengths, computed whole under the training mask.
private struct WholeText {
    let request: FillRequest

    /// Ids with 0 where nothing is known, and where the blanks are.
    func text(_ blanks: [[Int32?]]) -> (ids: [Int32], context: [Int], positions: [Int]) {
        var (ids, context, positions): ([Int32], [Int], [Int]) = ([], [], [])
        for (position, id) in (request.context.ids + [-1]).enumerated() {
            for (blank, tokens) in zip(request.blanks, blanks) where blank.position == position {
                positions += ids.count..<ids.count + tokens.count
                ids += tokens.map { $0 ?? 0 }
                context += tokens.map { _ in 0 }
            }
            guard id >= 0 else { break }
            ids.append(id)
            context.append(1)
        }
        return (ids, context, positions)
    }

    /// The logits that predict a token of the blanks.
    func logits(_ blanks: [[Int32?]], predicting token: Int, _ model: Model) throws -> [Float] {
        let configuration = model.file.configuration
        let promptLength = configuration.promptLength
        let (ids, context, positions) = text(blanks)
        let soft = (0..<promptLength).map { Int32(request.context.task * promptLength + $0) }
        let whole = LogitsCase(
            id: "whole", input: soft + ids, length: ids.count, context: soft.map { _ in 1 } + context,
            segment: soft.map { _ in 0 } + ids.map { _ in Int(request.context.segment) },
            span: Array(repeating: 0, count: promptLength + ids.count))
        return try Fixture.logits(model, [whole])[0][positions[token] - 1]
    }

    func logprobs(_ blanks: [[Int32?]], predicting token: Int, _ model: Model) throws -> [Double] {
        let row = try logits(blanks, predicting: token, model).map { Double($0) }
        let largest = row.max() ?? 0
        let logOfSum = log(row.reduce(0) { $0 + exp($1 - largest) }) + largest
        return row.map { $0 - logOfSum }
    }
}

/// Fills blanks from left to right, greedily or with beams, without a cache.
private struct PlainFilling {
    private(set) var blanks: [[TokenLogprobs]] = []
    private(set) var starts: [Int] = []
    private(set) var ids: [Int32] = []

    init(_ request: FillRequest, _ model: Model) throws {
        let width = if case .beams(let width) = request.options.decoding { width } else { 1 }
        while blanks.count < request.blanks.count {
            var best: [[TokenLogprobs]] = []
            var bestMean = -Double.infinity
            let here = blanks.count
            for length in request.blanks[here].length.map({ $0...$0 }) ?? 1...request.longest {
                let rest = request.blanks[(here + 1)...].map { $0.length ?? (request.longest + 1) / 2 }
                let end = request.blanks[(here + 1)...].firstIndex { $0.length == nil } ?? request.blanks.count
                let tokens = try Self.search(
                    WholeText(request: request), request.options,
                    known: blanks, lengths: [length] + rest, wanted: end - here, width: width, model)
                let mean = tokens[0].reduce(0) { $0 + $1.chosen.logprob } / Double(length)
                if mean > bestMean { (best, bestMean) = (tokens, mean) }
            }
            blanks += best
        }
        let (ids, context, _) = WholeText(request: request).text(blanks.map { $0.map(\.chosen.id) })
        self.ids = ids
        var next = context.indices.filter { context[$0] == 0 }[...]
        for blank in blanks {
            starts.append(next.first ?? 0)
            next = next.dropFirst(blank.count)
        }
    }

    private static func search(
        _ text: WholeText, _ options: GenerationOptions, known: [[TokenLogprobs]], lengths: [Int], wanted: Int,
        width: Int, _ model: Model
    ) throws -> [[TokenLogprobs]] {
        let knownCount = known.reduce(0) { $0 + $1.count }
        let count = lengths[..<wanted].reduce(0, +)
        var beams: [[TokenLogprobs]] = [[]]
        for token in 0..<count {
            var next: [(tokens: [TokenLogprobs], logprob: Double)] = []
            for beam in beams {
                var rest = (beam.map { Optional($0.chosen.id) } + Array(repeating: nil, count: 10_000))[...]
                let blanks = lengths.map { length in
                    defer { rest = rest.dropFirst(length) }
                    return Array(rest.prefix(length))
                }
                let logits = try text.logits(
                    known.map { $0.map(\.chosen.id) } + blanks, predicting: knownCount + token, model)
                // Of equal ones the smaller id comes first.
                let best = logits.indices.sorted { (logits[$1], $0) < (logits[$0], $1) }.prefix(width)
                for id in best {
                    let chosen = try entry(Int32(id), logits, options.logprobs ?? 0)
                    next.append((beam + [chosen], (beam + [chosen]).reduce(0) { $0 + $1.chosen.logprob }))
                }
            }
            beams = next.enumerated().sorted { ($1.element.logprob, $0.offset) < ($0.element.logprob, $1.offset) }
                .prefix(width).map(\.element.tokens)
        }
        var rest = beams[0][...]
        return lengths[..<wanted].map { length in
            defer { rest = rest.dropFirst(length) }
            return Array(rest.prefix(length))
        }
    }

    /// A token's log-probabilities in the bits of the product, which are to be the same.
    private static func entry(_ id: Int32, _ logits: [Float], _ top: Int) throws -> TokenLogprobs {
        var workspace = try SamplingWorkspace(vocabSize: logits.count, kernels: Kernels(.best))
        return workspace.logprobs(of: logits.span, chosen: id, top: top)
    }
}

/// Written as people write them.
@Suite("Texts with blanks") struct BlankTextTests {
    @Test func blanksAreTakenOutAndPutIn() throws {
        let cases: [(String, [String], [Int?])] = [
            ("a<blank:3>b", ["a", "b"], [3]), ("<blank>", ["", ""], [nil]),
            ("<blank:1><blank>山<blank:12>", ["", "", "山", ""], [1, nil, 12]),
            ("<blank:007>", ["", ""], [7]), ("<blank:4096>", ["", ""], [4096]),
            ("no <blanket>, <blank 3> <Blank> <blank", ["no <blanket>, <blank 3> <Blank> <blank"], []),
            ("<<blank:2>>", ["<", ">"], [2]), ("山<blank:2>\u{301}", ["山", "\u{301}"], [2]), ("", [""], []),
        ]
        for (text, pieces, lengths) in cases {
            let parsed = try BlankText(text)
            #expect(parsed.pieces == pieces)
            #expect(parsed.lengths == lengths)
            #expect(
                parsed.filled(with: lengths.indices.map { "\($0)" })
                    == zip(pieces, lengths.indices.map { "\($0)" } + [""]).map { $0 + $1 }.joined())
        }
    }

    @Test(arguments: [
        "<blank:0>", "<blank:-1>", "<blank:+1>", "<blank:x>", "<blank:>", "<blank:3", "<blank: 3>", "<blank:4097>",
        "<blank:99999999999999999999999>", "好<blank:１>", "<blank:1.5>",
    ])
    func numbersThatMakeNoSenseAreRefused(text: String) {
        let error = #expect(throws: LeafError.self) { try BlankText(text) }
        #expect(error?.kind == .usage)
        #expect(error?.description.contains("<blank:3> for three tokens") == true)
    }
}
