import Dispatch
import LeafFormat
import LeafGeneration
import LeafSystem
import Synchronization
import Testing

@Suite("Cancellation") struct CancellationTests {
    @Test func aParentCancelsItsChildrenAndNoChildItsParent() {
        let parent = Cancellation()
        let (first, second) = (Cancellation(parent: parent), Cancellation(parent: parent))
        let grandchild = Cancellation(parent: second)
        first.cancel()
        #expect(first.isCancelled && !parent.isCancelled && !second.isCancelled)
        parent.cancel()
        #expect(second.isCancelled && grandchild.isCancelled)
        #expect(Cancellation(parent: parent).isCancelled)
    }

    @Test func watchersAreCalledOnceAndNotAfterTheyLeft() {
        let cancellation = Cancellation()
        let calls = Mutex<[String]>([])
        _ = cancellation.watch { calls.withLock { $0.append("kept") } }
        let gone = cancellation.watch { calls.withLock { $0.append("gone") } }
        cancellation.unwatch(gone)
        cancellation.cancel()
        cancellation.cancel()
        _ = cancellation.watch { calls.withLock { $0.append("late") } }
        #expect(calls.withLock { $0 } == ["kept", "late"])
    }

    @Test func ofManyThreadsThatCancelOneCounts() {
        for _ in 0..<50 {
            let cancellation = Cancellation()
            let calls = Mutex(0)
            DispatchQueue.concurrentPerform(iterations: 8) { thread in
                if thread % 2 == 0 {
                    _ = cancellation.watch { calls.withLock { $0 += 1 } }
                } else {
                    cancellation.cancel()
                }
            }
            #expect(calls.withLock { $0 } == 4)
        }
    }
}

@Suite("Interest in a sweep") struct SweepInterestTests {
    private final class Disk: Sendable {
        let calls = Mutex<[String]>([])
        func note(_ call: String) { calls.withLock { $0.append(call) } }
        var all: [String] { calls.withLock { $0 } }
    }

    private func interest(_ disk: Disk) -> SweepInterest {
        SweepInterest(interrupt: { disk.note("interrupt") }, resume: { disk.note("resume") })
    }

    @Test func theLastWhoLosesInterestInterrupts() throws {
        let disk = Disk()
        let interest = interest(disk)
        let riders = [Cancellation(), Cancellation()]
        try interest.whileWanted(by: riders) { () throws(LeafError) in
            interest.review()
            riders[0].cancel()
            interest.review()
            #expect(disk.all == [])
            riders[1].cancel()
            interest.review()
            interest.review()
            #expect(disk.all == ["interrupt"])
        }
        // The sweep came to its end all the same: the next one must not find a store that is interrupted.
        #expect(disk.all == ["interrupt", "resume"])
    }

    @Test func outsideOfASweepNothingIsInterrupted() throws {
        let disk = Disk()
        let interest = interest(disk)
        let rider = Cancellation()
        rider.cancel()
        interest.review()
        try interest.whileWanted(by: [Cancellation()]) { () throws(LeafError) in interest.review() }
        interest.review()
        #expect(disk.all == [])
    }

    @Test(arguments: [LeafError.Kind.cancelled, .io]) func aSweepThatFailed(kind: LeafError.Kind) {
        let disk = Disk()
        let interest = interest(disk)
        let rider = Cancellation()
        #expect(throws: LeafError(kind, "over")) {
            try interest.whileWanted(by: [rider]) { () throws(LeafError) in
                rider.cancel()
                interest.review()
                throw LeafError(kind, "over")
            }
        }
        // The interruption may have come after the sweep was abandoned.
        #expect(disk.all == ["interrupt", "resume"])
    }
}
