import Foundation
import GoldenSupport
import LeafSystem
import Synchronization
import Testing

@Suite("threads") struct ThreadTests {
    @Test func aGroupWaitsForAllThatItStarted() throws {
        let group = ThreadGroup()
        let done = Counter()
        for _ in 0..<20 { try group.start { done.add(1) } }
        group.wait()
        #expect(done.value == 20)
        group.wait()
    }

    @Test func aThreadThatCannotBeIsASentence() throws {
        let group = ThreadGroup(system: .real.starting(atMost: 1))
        let done = Counter()
        try group.start { done.add(1) }
        let error = #expect(throws: LeafError.self) { try group.start { done.add(1) } }
        #expect(error?.exitCode == 1)
        #expect(
            error?.description.hasPrefix("no more threads can be started (resource temporarily unavailable); raise")
                == true)
        // The others are waited for all the same.
        group.wait()
        #expect(done.value == 1)
        #expect(throws: LeafError.self) { _ = try SerialThread(system: .real.starting(atMost: 0)) }
    }

    @Test func signalsGoToTheThreadsOfTheProgram() throws {
        let group = ThreadGroup()
        let blocked = Counter()
        try group.start {
            var set = sigset_t()
            pthread_sigmask(SIG_BLOCK, nil, &set)
            for number in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] where sigismember(&set, number) == 1 { blocked.add(1) }
            for number in [SIGBUS, SIGSEGV] where sigismember(&set, number) == 1 { blocked.add(100) }
        }
        group.wait()
        #expect(blocked.value == 4)
    }

    @Test func aSerialThreadKeepsTheOrder() throws {
        let thread = try SerialThread()
        let order = Mutex<[Int]>([])
        for number in 0..<1000 { thread.async { order.withLock { $0.append(number) } } }
        #expect(thread.sync { order.withLock { $0 } } == Array(0..<1000))
        #expect(!thread.isCurrent)
    }

    @Test func onlyOnePieceOfWorkIsDoneAtATime() throws {
        let thread = try SerialThread()
        let group = ThreadGroup()
        nonisolated(unsafe) var sum = 0
        for _ in 0..<4 {
            try group.start {
                for number in 0..<200 {
                    if number % 2 == 0 {
                        thread.async { sum += thread.isCurrent ? 1 : 1000 }
                    } else {
                        thread.sync { sum += thread.isCurrent ? 1 : 1000 }
                    }
                }
            }
        }
        group.wait()
        #expect(thread.sync { sum } == 800)
    }

    @Test func whatWasHandedOverIsDoneWhenTheOwnerGoes() throws {
        let group = ThreadGroup()
        let done = Counter()
        try group.start {
            let semaphore = DispatchSemaphore(value: 0)
            do {
                guard let thread = try? SerialThread() else { return }
                // The last reference goes on the thread itself.
                thread.async { [thread] in if thread.isCurrent { done.add(1) } }
                thread.async {
                    done.add(1)
                    semaphore.signal()
                }
            }
            semaphore.wait()
        }
        group.wait()
        #expect(done.value == 2)
    }
}

/// A number that several threads change.
final class Counter: Sendable {
    private let number = Atomic<Int>(0)
    var value: Int { number.load(ordering: .sequentiallyConsistent) }

    @discardableResult
    func add(_ step: Int) -> Int { number.add(step, ordering: .sequentiallyConsistent).newValue }
}
