import CPMAntShape
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafStream
import Leafcutter
import Testing

/// What rows look at is their own sequence, however many sequences share a sweep.
@Suite("Scratch of a plan") struct ScratchPlanTests {
    private static let threads = 2
    private static let tokens = 256

    private let file: ModelFile
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        file = try Fixture.tiny(in: directory)
    }

    /// So many texts of 256 tokens to score behind `<s>`, all on one sweep.
    private func texts(_ count: Int) throws -> Demand {
        let context = try PromptRows(ids: [6], task: 2, segment: 2, for: file.configuration)
        let target = (0..<Self.tokens).map { Int32(20 + $0) }
        let one = ScoreRequest(context: context, target: target).demand(in: file.configuration)
        return Demand(together: Array(repeating: one, count: count))
    }

    private func scratch(_ capacity: Demand) throws -> Int {
        try Model.plan(file, ModelOptions(memory: .gibibytes(64), threads: Self.threads, capacity: capacity))
            .bytes(for: .scratch)
    }

    @Test func twiceAsManyTextsTakeTwiceAsMuch() throws {
        let (some, twice) = (try scratch(texts(64)), try scratch(texts(128)))
        #expect(some < twice && twice <= 2 * some)
    }

    /// The only buffers that depend on the longest sequence: two bytes for a row and a key, and the scores of the rows
    /// that a thread attends with at once.
    @Test func aRowHasRoomForTheKeysOfItsOwnSequence() throws {
        let capacity = try texts(64)
        var half = capacity
        half.longest /= 2
        let (rows, keys) = (capacity.rows, capacity.longest - half.longest)
        #expect(rows == 64 * capacity.longest && keys > 100)
        // Rounded to pages of 16 keys, and the arena to pages of the machine.
        let most = rows * (keys + 16) * 2 + Self.threads * 64 * (keys + 16) * 4 + 8192
        let grown = try scratch(capacity) - scratch(half)
        #expect((rows * (keys - 16) * 2...most).contains(grown), "\(grown) of \(most)")
        // With a place for every key on the sweep, this table alone would be larger than everything there is.
        #expect(try scratch(capacity) < rows * rows * 2)
    }
}
