import GoldenSupport
import LeafConversion
import LeafFormat
import LeafSystem
import Synchronization
import Testing

@Suite("ordered pipeline") struct OrderedPipelineTests {
    /// A slot that knows whether somebody is in it.
    private final class Slot: Sendable {
        let isTaken = Atomic<Bool>(false)
    }

    @Test(arguments: [1, 2, 5], [1, 3, 8]) func valuesComeInOrderAndSlotsAreNeverShared(slots: Int, threads: Int) throws
    {
        let pipeline = OrderedPipeline(slots: (0..<slots).map { _ in Slot() }, threads: threads)
        var next = 0
        try pipeline.run(
            500,
            make: { (index, slot) throws(LeafError) in
                let wasTaken = slot.isTaken.exchange(true, ordering: .acquiringAndReleasing)
                #expect(!wasTaken)
                return (index * 3, slot)
            },
            use: { (index, value) throws(LeafError) in
                #expect(index == next && value.0 == index * 3)
                next += 1
                value.1.isTaken.store(false, ordering: .releasing)
            })
        #expect(next == 500)
    }

    @Test(.timeLimit(.minutes(30)), arguments: 0..<4) func threadsThatCannotStartAreAnError(started: Int) {
        let made = Atomic<Int>(0)
        let pipeline = OrderedPipeline(
            slots: [0, 1, 2, 3], threads: 4, system: .real.starting(atMost: started))
        let error = #expect(throws: LeafError.self) {
            try pipeline.run(
                1000, make: { (_, _) throws(LeafError) in made.add(1, ordering: .relaxed) },
                use: { (_, _) throws(LeafError) in Issue.record("used") })
        }
        #expect(error?.kind == .io && error?.description.hasPrefix("no more threads can be started") == true)
        // Nobody makes more than fits into the slots.
        #expect(made.load(ordering: .relaxed) <= 4)
    }

    @Test func memoryThatIsRefusedIsAnErrorBeforeAThreadStarts() {
        var system = SystemCalls.real
        system.map = { _, _ in -12 }
        system.startThread = { _ in
            Issue.record("started")
            return -11
        }
        let pipeline = OrderedPipeline(slots: [0, 1], threads: 2, system: system)
        let error = #expect(throws: LeafError.self) {
            try pipeline.run(
                10, make: { (index, _) throws(LeafError) in index },
                use: { (_, _) throws(LeafError) in Issue.record("used") })
        }
        #expect(error?.kind == .budget && error?.description.contains("of memory for threads") == true)
    }

    @Test func theFirstErrorInOrderIsThrownAndNothingRunsBehindIt() {
        for _ in 0..<50 {
            let running = Atomic<Int>(0)
            var used = 0
            let error: LeafError?
            do throws(LeafError) {
                try OrderedPipeline(slots: [0, 1, 2, 3], threads: 4).run(
                    100,
                    make: { (index, _) throws(LeafError) in
                        running.add(1, ordering: .relaxed)
                        defer { running.subtract(1, ordering: .relaxed) }
                        if index >= 40 { throw LeafError(.io, "\(index)") }
                    }, use: { (_, _) throws(LeafError) in used += 1 })
                error = nil
            } catch let thrown { error = thrown }
            #expect(error?.description == "40" && used == 40)
            let left = running.load(ordering: .relaxed)
            #expect(left == 0)
        }
    }

    @Test func anErrorOfTheUserStopsTheThreads() {
        let made = Atomic<Int>(0)
        let error: LeafError?
        do throws(LeafError) {
            try OrderedPipeline(slots: [0, 1], threads: 3).run(
                1_000_000, make: { (_, _) throws(LeafError) in made.add(1, ordering: .relaxed) },
                use: { (index, _) throws(LeafError) in
                    if index == 7 { throw LeafError(.cancelled, "stopped") }
                })
            error = nil
        } catch let thrown { error = thrown }
        #expect(error?.kind == .cancelled)
        let count = made.load(ordering: .relaxed)
        #expect(count <= 10)
    }

    @Test func nothingToMakeIsNothing() throws {
        try OrderedPipeline(slots: [0], threads: 2).run(
            0, make: { (_, _) throws(LeafError) in }, use: { (_, _) throws(LeafError) in Issue.record("used") })
    }
}
