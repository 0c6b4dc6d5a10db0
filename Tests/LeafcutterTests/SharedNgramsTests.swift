import GoldenSupport
import LeafExecutor
import LeafGeneration
import LeafSystem
import Leafcutter
import Testing

/// Texts that guess what others have said.
@Suite("Shared n-grams") struct SharedNgramsTests {
    private let folder: TemporaryDirectory
    private let file: ModelFile

    init() throws {
        folder = try TemporaryDirectory()
        file = try Fixture.demo(in: folder)
    }

    private func open(_ drafts: DraftOptions, sequences: Int = 4) throws -> Model {
        var options = ModelOptions(memory: .gibibytes(1), threads: 2)
        options.capacity = .init(
            context: 100 * sequences, longest: 100, rows: 300, logitRows: sequences, sequences: sequences)
        options.drafts = drafts
        return try Model(file, options)
    }

    private static func ngrams(isShared: Bool) -> DraftOptions {
        var drafts = DraftOptions(.ngrams, fixedCount: 8)
        drafts.sharesNgrams = isShared
        return drafts
    }

    /// Poems, some of them more than once.
    private func requests() throws -> [GenerationRequest] {
        try ["《登鹳雀楼》王之涣\n", "《静夜思》李白\n", "《登鹳雀楼》王之涣\n", "《登鹳雀楼》王之涣\n白日", "《静夜思》李白\n", "《将进酒》李白\n"]
            .enumerated().map { number, title in
                var options = number % 2 == 0 ? GenerationOptions.greedy : GenerationOptions(temperature: 0.8, seed: 3)
                options.maxTokens = 32
                return GenerationRequest(
                    prompt: try file.rows(of: .text(title), options), options: options, samples: 1 + number % 2)
            }
    }

    @Test(arguments: [1, 4]) func textsThatResembleEachOtherTakeFewerSweepsInAnyOrder(sequences: Int) throws {
        var requests = try requests()
        if sequences == 1 { requests = requests.filter { $0.samples == 1 } }
        let plain = try open(.none, sequences: sequences)
        let expected = try Answer.run(requests, on: plain)
        var random = SeededGenerator(seed: 11)
        for _ in 0..<3 {
            let order = requests.indices.shuffled(using: &random)
            func run(isShared: Bool) throws -> Model {
                let model = try open(Self.ngrams(isShared: isShared), sequences: sequences)
                let answers = try Answer.run(order.map { requests[$0] }, on: model)
                #expect(answers == order.map { expected[$0] }, "\(order), \(isShared)")
                return model
            }
            let (alone, shared) = (try run(isShared: false), try run(isShared: true))
            #expect(shared.speculation.accepted > alone.speculation.accepted, "\(order)")
            #expect(shared.counters.sweeps < alone.counters.sweeps, "\(order)")
        }
    }

    /// Also where the one that said it has ended.
    @Test func whatWasSaidBeforeIsGuessedWhole() throws {
        let model = try open(Self.ngrams(isShared: true), sequences: 1)
        let request = try requests()[0]
        func sweeps() throws -> Int {
            let before = model.counters.sweeps
            _ = try Answer.run([request], on: model)
            return model.counters.sweeps - before
        }
        let first = try sweeps()
        let second = try sweeps()
        #expect(first > 15 && second <= first / 3, "\(first), \(second)")
    }

    @Test func whatIsSharedIsInThePlan() throws {
        let (alone, shared) = (try open(Self.ngrams(isShared: false)), try open(Self.ngrams(isShared: true)))
        #expect(
            shared.plan.bytes(for: .drafts) - alone.plan.bytes(for: .drafts) == SharedNgrams.byteCount(tokens: 1 << 16))
        for source in [DraftOptions.Source.none, .model(file)] {
            var drafts = DraftOptions(source)
            drafts.sharesNgrams = true
            let error = #expect(throws: LeafError.self) { try open(drafts) }
            #expect(error?.kind == .usage && error?.description.contains("for n-grams") == true)
        }
    }
}
