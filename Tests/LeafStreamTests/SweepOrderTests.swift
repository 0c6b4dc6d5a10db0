import Foundation
import GoldenSupport
import LeafFormat
import LeafStream
import LeafSystem
import Testing

/// Where consumers meet between blocks.
private final class Meeting: Sendable {
    private let condition = NSCondition()
    private let state = Locked((arrived: 0, round: 0))
    private let count: Int

    init(_ count: Int) { self.count = count }

    /// - Parameter body: what the last to come does before all go on.
    func wait(_ body: () -> Void = {}) {
        condition.lock()
        defer { condition.unlock() }
        let round = state.withLock { state -> Int in
            state.arrived += 1
            return state.round
        }
        if state.withLock({ $0.arrived }) == count {
            body()
            state.withLock { $0 = (0, $0.round + 1) }
            condition.broadcast()
        } else {
            while state.withLock({ $0.round }) == round { condition.wait() }
        }
    }
}

@Suite("sweep order") struct SweepOrderTests {
    private static let patterns: [[SweepDirection]] = [
        [.forward], [.backward], [.forward, .backward], [.backward, .forward], [.forward, .forward, .backward],
        [.forward, .backward, .backward],
    ]

    @Test(arguments: patterns) func positionsAreThePatternWrittenOut(pattern: [SweepDirection]) {
        for range in [0..<5, 3..<4, 7..<11] {
            let order = SweepOrder(chunks: range, pattern: pattern)
            var expected: [Int] = []
            for sweep in 0..<7 {
                let isForward = pattern[sweep % pattern.count] == .forward
                expected += isForward ? Array(range) : range.reversed()
            }
            #expect(expected.indices.map(order.chunk) == expected)
            for position in 0..<5 * range.count {
                for chunk in range {
                    #expect(order.next(chunk, from: position) == expected[position...].firstIndex(of: chunk))
                }
                let sweep = position / range.count
                let turns = sweep > 0 && pattern[sweep % pattern.count] != pattern[(sweep - 1) % pattern.count]
                #expect(order.isAfterTurn(position) == turns)
            }
        }
    }

    /// Random ranges, patterns, slots, consumers, request sizes and working sets; some sweeps are given up in the
    /// middle.
    @Test(.timeLimit(.minutes(30)), arguments: [IOMode.direct, .map], patterns)
    func everyOrderGivesTheFilesBytes(mode: IOMode, pattern: [SweepDirection]) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let model = try TestModel(
            sizes: TestModel.sizes(count: 48, largest: 30_000, seed: seed), packed: [5, 22, 23, 41], seed: seed)
        for consumers in [1, 2, 3] {
            let first = Int.random(in: 0..<6, using: &random) * 4
            let range = first..<Int.random(in: first / 4 + 3...12, using: &random) * 4
            let chunks = Array(model.file.chunks[range])
            let slotBytes = chunks.map(\.slotBytes).max()!
            let all = chunks.reduce(0) { $0 + $1.slotBytes }
            let room = min(all, Int.random(in: 2 * slotBytes...all, using: &random))
            let plan = try MemoryPlan(budget: budget(holding: room), chunks: chunks, reserved: nothingReserved)
            let store = try BlockStore(
                file: model.file, chunks: range, plan: plan, order: pattern, reading: .init(mode: mode),
                request: RequestShape(
                    bytes: Bool.random(using: &random) ? 4096 : 1 << 20, depth: Int.random(in: 1...5, using: &random)),
                consumers: consumers, system: .here)
            var run = Run(store: store, model: model, range: range, pattern: pattern, consumers: consumers)
            for _ in 0..<4 {
                run.sweeps(Int.random(in: 1...6, using: &random), changing: true, &random)
                store.abandonSweep()
                run.sweeps(1, giveUpAfter: Int.random(in: 0..<range.count, using: &random), &random)
                store.abandonSweep()
            }
            #expect(run.mistakes.all == [], "seed \(seed), \(consumers) consumers, \(range), \(plan.slotCount) slots")
        }
    }

    /// A pattern of sweeps by blocks, as an executor makes them.
    private struct Run {
        let store: BlockStore
        let model: TestModel
        let range: Range<Int>
        let pattern: [SweepDirection]
        let consumers: Int
        let mistakes = Mistakes()

        /// - Parameter giveUpAfter: how many chunks the consumers use, some more or fewer; the first to stop interrupts
        ///   the others.
        mutating func sweeps(
            _ count: Int, changing: Bool = false, giveUpAfter: Int? = nil, _ random: inout SeededGenerator
        ) {
            let meeting = Meeting(consumers)
            let seed = random.next()
            onThreads(consumers) { [self] consumer in
                var random = SeededGenerator(seed: seed &+ UInt64(consumer))
                var left = giveUpAfter.map { max(0, $0 + (consumer == 0 ? 0 : Int.random(in: -3...3, using: &random))) }
                for sweep in 0..<count {
                    let isForward = pattern[sweep % pattern.count] == .forward
                    let blocks = model.file.blocks.map(\.chunks).filter { range.contains($0.lowerBound) }
                    for block in isForward ? blocks : blocks.reversed() {
                        if left == nil {
                            let wish = Int.random(in: -3000...store.movableBytes + 3000, using: &random)
                            meeting.wait {
                                if changing, wish % 3 == 0 { store.want(pinnedBytes: wish) }
                                do { try store.settle() } catch { mistakes.add("\(error)") }
                            }
                        }
                        for chunk in isForward ? Array(block) : block.reversed() {
                            if left == 0 { return store.interrupt() }
                            if !use(chunk, sweep, consumer, &random), left != nil { return }
                            left = left.map { $0 - 1 }
                        }
                    }
                }
            }
        }

        /// - Returns: false when it was interrupted.
        private func use(_ chunk: Int, _ sweep: Int, _ consumer: Int, _ random: inout SeededGenerator) -> Bool {
            do throws(LeafError) {
                let lease = try store.lease(chunk, consumer: consumer)
                if Int.random(in: 0..<6, using: &random) == 0 { usleep(UInt32.random(in: 0...200, using: &random)) }
                if !lease.bytes.hold(model.contents[chunk]) { mistakes.add("sweep \(sweep), chunk \(chunk)") }
                return true
            } catch {
                if error.kind != .cancelled { mistakes.add("sweep \(sweep), chunk \(chunk): \(error)") }
                return false
            }
        }
    }

    /// Reads of each chunk by its offset.
    private func counted() -> (system: SystemCalls, counts: Locked<[Int: Int]>) {
        let counts = Locked<[Int: Int]>([:])
        var system = SystemCalls.here
        system.read = { descriptor, target, count, offset in
            if count > 4096 { counts.withLock { $0[offset, default: 0] += 1 } }
            return SystemCalls.here.read(descriptor, target, count, offset)
        }
        return (system, counts)
    }

    @Test func whatATurnBeginsWithIsNotReadAgain() throws {
        let model = try TestModel(sizes: [Int](repeating: 20_000, count: 24), seed: 1)
        let plan = try MemoryPlan(
            budget: budget(holding: 20_480 * 4), chunks: model.file.chunks, reserved: nothingReserved)
        #expect(plan.slotCount == 4 && plan.pinnedChunks.isEmpty)
        let (system, counts) = counted()
        let pairs = 5
        do {
            let store = try BlockStore(
                file: model.file, plan: plan, order: [.forward, .backward], reading: .init(mode: .direct), consumers: 1,
                system: system)
            for _ in 0..<pairs {
                for chunk in Array(0..<24) + (0..<24).reversed() {
                    #expect(try store.gives(chunk, of: model))
                }
            }
            #expect(store.counters.sweeps == 2 * pairs)
        }
        let reads = counts.withLock { counts in model.file.chunks.map { counts[$0.offset] ?? 0 } }
        // The last chunk is read on the way there and used twice; the first is read on the way back for the next way
        // there.
        #expect(reads[23] == pairs)
        #expect(reads[0] == pairs + 1)
        #expect(reads[12] >= 2 * pairs - 1)
    }

    @Test func aRangeReadsItsOwnChunksAlone() throws {
        let model = try TestModel(sizes: [Int](repeating: 20_000, count: 24), seed: 2)
        let range = 8..<20
        let plan = try MemoryPlan(
            budget: budget(holding: 20_480 * 6), chunks: Array(model.file.chunks[range]), reserved: nothingReserved)
        let (system, counts) = counted()
        do {
            let store = try BlockStore(
                file: model.file, chunks: range, plan: plan, reading: .init(mode: .direct), consumers: 1, system: system
            )
            for _ in 0..<3 {
                for chunk in range {
                    #expect(try store.gives(chunk, of: model))
                }
            }
            #expect(store.counters.sweeps == 3 && store.streamedBytesPerSweep == plan.streamedBytesPerSweep)
            // Bytes outside of the range are read past the sweep.
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 1)
            defer { bytes.deallocate() }
            for chunk in [0, 7, 8, 19, 20, 23] {
                try store.read(at: model.file.chunks[chunk].offset + 5, into: bytes)
                #expect(bytes.elementsEqual(model.contents[chunk][5..<105]))
            }
        }
        let outside = model.file.chunks.indices.filter { !range.contains($0) }.map { model.file.chunks[$0].offset }
        #expect(counts.withLock { counts in outside.allSatisfy { counts[$0] == nil } })
    }

    /// A read that fails behind a turn: what is still in slots is used, and all fail at the same chunk.
    @Test(arguments: [1, 3]) func anErrorBehindATurnIsReportedAtItsChunk(consumers: Int) throws {
        let model = try TestModel(sizes: [Int](repeating: 20_000, count: 24), seed: 3)
        let plan = try MemoryPlan(
            budget: budget(holding: 20_480 * 4), chunks: model.file.chunks, reserved: nothingReserved)
        let reads = Locked(0)
        let offset = model.file.chunks[10].offset
        var system = SystemCalls.here
        system.read = { descriptor, target, count, at in
            if at == offset,
                reads.withLock({
                    $0 += 1
                    return $0 == 2
                })
            {
                return -Int(EIO)
            }
            return SystemCalls.here.read(descriptor, target, count, at)
        }
        let store = try BlockStore(
            file: model.file, plan: plan, order: [.forward, .backward], reading: .init(mode: .direct),
            consumers: consumers, system: system)
        let meeting = Meeting(consumers)
        let failures = Mistakes()
        onThreads(consumers) { consumer in
            for (position, chunk) in (Array(0..<24) + (0..<24).reversed()).enumerated() {
                if position == 24 { meeting.wait() }
                do {
                    let lease = try store.lease(chunk, consumer: consumer)
                    if !lease.bytes.hold(model.contents[chunk]) { failures.add("wrong bytes") }
                } catch {
                    failures.add("position \(position)")
                    return
                }
            }
        }
        #expect(failures.all == [String](repeating: "position \(47 - 10)", count: consumers))
    }
}
