import Foundation
import GoldenSupport
import LeafFormat
import LeafStream
import LeafSystem
import Testing

/// A second copy of the file, and a limit on the rate.
@Suite("sources", .timeLimit(.minutes(30))) struct SourceTests {
    private let model: TestModel
    private let mirror: String
    private let plan: MemoryPlan

    init() throws {
        model = try TestModel(sizes: [Int](repeating: 300_000, count: 40), packed: [3], seed: 1)
        mirror = model.file.path + ".copy"
        try FileManager.default.copyItem(atPath: model.file.path, toPath: mirror)
        plan = try MemoryPlan(
            budget: budget(holding: 303_104 * 12), chunks: model.file.chunks, reserved: nothingReserved)
    }

    /// Calls whose reads of one of the two files take some time more.
    private func system(napOf path: String, microseconds: UInt32) -> SystemCalls {
        let slow = Locked<Set<Int32>>([])
        var system = SystemCalls.here
        system.open = { opened, direct in
            let descriptor = SystemCalls.here.open(opened, direct)
            if opened == path { slow.withLock { _ = $0.insert(descriptor) } }
            return descriptor
        }
        system.read = { descriptor, target, count, offset in
            if slow.withLock({ $0.contains(descriptor) }) { usleep(microseconds) }
            return SystemCalls.here.read(descriptor, target, count, offset)
        }
        return system
    }

    @Test(arguments: [IOMode.direct, .buffered]) func bothCopiesAreReadAndGiveTheSameBytes(mode: IOMode) throws {
        defer { unlink(mirror) }
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: mode, mirror: mirror), consumers: 2, system: .here)
        #expect(sweep(store, over: model, sweeps: 4, consumers: 2, seed: 1) == [])
        let shares = store.counters.bytesBySource
        #expect(shares.count == 2 && shares.allSatisfy { $0 > 0 })
    }

    @Test func aSlowCopyBringsLess() throws {
        defer { unlink(mirror) }
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct, mirror: mirror), consumers: 1,
            system: system(napOf: mirror, microseconds: 100_000))
        #expect(sweep(store, over: model, sweeps: 5, consumers: 1, seed: 1, napMicroseconds: 10) == [])
        let shares = store.counters.bytesBySource
        #expect(shares[1] > 0 && shares[0] > 3 * shares[1], "\(shares)")
    }

    @Test func aWrongByteInTheCopyIsFound() throws {
        defer { unlink(mirror) }
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: mirror))
        for chunk in model.file.chunks {
            try file.seek(toOffset: UInt64(chunk.offset + 7))
            try file.write(contentsOf: Data([0x55, 0xAA]))
        }
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct, mirror: mirror), consumers: 1,
            system: system(napOf: model.file.path, microseconds: 3000))
        let mistakes = sweep(store, over: model, sweeps: 2, consumers: 1, seed: 1)
        #expect(mistakes.count == 1 && mistakes[0].contains("fails its checksum"))
    }

    @Test func aCopyThatCannotBeReadIsNamed() throws {
        try Data(count: 5000).write(to: URL(fileURLWithPath: mirror))
        defer { unlink(mirror) }
        func open(_ mode: IOMode) throws -> BlockStore {
            try BlockStore(
                file: model.file, plan: plan, reading: .init(mode: mode, mirror: mirror), consumers: 1, system: .here)
        }
        let error = #expect(throws: LeafError.self) { _ = try open(.direct) }
        #expect(error?.description.hasPrefix("\(mirror): the file ends at byte 5000") == true)
        #expect(#expect(throws: LeafError.self) { _ = try open(.map) }?.exitCode == 2)
    }

    @Test func readsInFlightFollowTheRates() {
        var rates = SourceRates(count: 2)
        // A simulation: copy 0 needs 1 ms for a piece, copy 1 needs 4, each one at a time; 12 reads are kept in flight.
        var queue: [(source: Int, depth: Int, begin: Double, end: Double)] = []
        var busyUntil = [0.0, 0.0]
        var time = 0.0
        func submit() {
            let (source, depth) = rates.choose()
            busyUntil[source] = max(busyUntil[source], time) + (source == 0 ? 1 : 4)
            queue.append((source, depth, time, busyUntil[source]))
        }
        for _ in 0..<12 { submit() }
        for _ in 0..<4000 {
            let next = queue.indices.min { queue[$0].end < queue[$1].end }!
            let read = queue.remove(at: next)
            time = read.end
            rates.finish(
                read.source, depth: read.depth, bytes: 1000, nanoseconds: UInt64((read.end - read.begin) * 1e6))
            submit()
        }
        let share = Double(rates.bytes[1]) / Double(rates.bytes[0] + rates.bytes[1])
        #expect(abs(share - 0.2) < 0.04, "\(share)")
        // Neither waited for the other: both were busy nearly all the time.
        #expect(Double(rates.bytes[0]) / 1000 / time > 0.95)
    }

    @Test func aRateIsNeverExceeded() {
        var pacer = ReadPacer(bytesPerSecond: 1_000_000)
        var random = SeededGenerator(seed: 1)
        var now: UInt64 = 5
        var reads: [(start: UInt64, bytes: Int)] = []
        for _ in 0..<300 {
            let bytes = Int.random(in: 1...4000, using: &random)
            reads.append((pacer.start(bytes: bytes, now: now), bytes))
            #expect(reads.last!.start >= now)
            now += UInt64.random(in: 0...4_000_000, using: &random)
        }
        for first in reads.indices {
            var bytes = 0
            for read in reads[first...] {
                // What was read before this one began, over the time that passed.
                let seconds = Double(read.start - reads[first].start) * 1e-9
                #expect(Double(bytes) <= seconds * 1_000_000 + 1e-3)
                bytes += read.bytes
            }
        }
        var unlimited = ReadPacer(bytesPerSecond: nil)
        #expect(unlimited.start(bytes: 1 << 30, now: 7) == 7 && unlimited.start(bytes: 1, now: 7) == 7)
    }

    @Test func aReadThatDidNotHappenIsGivenBack() {
        var pacer = ReadPacer(bytesPerSecond: 1000)
        #expect(pacer.start(bytes: 1000, now: 0) == 0)
        #expect(pacer.start(bytes: 2000, now: 0) == 1_000_000_000)
        #expect(pacer.start(bytes: 3000, now: 0) == 3_000_000_000)
        pacer.giveBack(bytes: 3000)
        pacer.giveBack(bytes: 2000)
        #expect(pacer.start(bytes: 5000, now: 0) == 1_000_000_000)
    }

    /// At a byte a second the first piece comes at once, and the next after days.
    private func slowest(consumers: Int = 1, system: SystemCalls = .here) throws -> BlockStore {
        try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct, maxBytesPerSecond: 1),
            request: RequestShape(bytes: 1 << 20, depth: 4), consumers: consumers, system: system)
    }

    @Test func aPacedStoreEndsAtOnce() throws {
        defer { unlink(mirror) }
        var store: BlockStore? = try slowest()
        _ = try store?.lease(0)
        let reads = store?.counters.reads
        store?.abandonSweep()
        #expect(reads == 1 && store?.counters.reads == 1)
        store = nil
    }

    @Test func consumersThatWaitAreInterruptedAtOnce() throws {
        defer { unlink(mirror) }
        let store = try slowest(consumers: 3)
        for _ in 0..<3 {
            let kinds = Mistakes()
            let waiting = DispatchSemaphore(value: 0)
            DispatchQueue.global().async {
                for _ in 0..<3 { waiting.wait() }
                usleep(5000)
                store.interrupt()
            }
            onThreads(3) { consumer in
                waiting.signal()
                do throws(LeafError) {
                    for chunk in model.file.chunks.indices { _ = try store.lease(chunk, consumer: consumer) }
                } catch {
                    kinds.add("\(error.kind)")
                }
            }
            #expect(kinds.all == ["cancelled", "cancelled", "cancelled"])
            // Until the sweep is abandoned nobody waits.
            #expect(#expect(throws: LeafError.self) { _ = try store.lease(20) }?.kind == .cancelled)
            store.abandonSweep()
        }
    }

    /// What was pinned when a sweep was abandoned and had not been read is read later.
    @Test func anInterruptedSweepIsFollowedByACleanOne() throws {
        defer { unlink(mirror) }
        let all = try MemoryPlan(budget: 1 << 30, chunks: model.file.chunks, reserved: nothingReserved)
        for plan in [plan, all] {
            let store = try BlockStore(
                file: model.file, plan: plan, reading: .init(mode: .direct, maxBytesPerSecond: 200_000_000),
                request: RequestShape(bytes: 32_768, depth: 5), consumers: 2, system: .here)
            for round in 0..<10 {
                let interrupted = DispatchSemaphore(value: 0)
                DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(round * 3)) {
                    store.interrupt()
                    interrupted.signal()
                }
                onThreads(2) { consumer in
                    for chunk in model.file.chunks.indices {
                        if (try? store.lease(chunk, consumer: consumer)) == nil { return }
                    }
                }
                interrupted.wait()
                store.abandonSweep()
                #expect(sweep(store, over: model, sweeps: 1, consumers: 2, seed: 1, napMicroseconds: 10) == [])
            }
        }
    }

    @Test func anInterruptIsTakenBack() throws {
        defer { unlink(mirror) }
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct), consumers: 1, system: .here)
        store.interrupt()
        store.resume()
        #expect(sweep(store, over: model, sweeps: 1, consumers: 1, seed: 1) == [])
        // At a sweep's end there is nothing to abandon but the interrupt.
        store.interrupt()
        store.abandonSweep()
        #expect(sweep(store, over: model, sweeps: 1, consumers: 1, seed: 1) == [])
    }

    /// Reads of what comes later wait for days, and the failure does not wait for them.
    @Test func anErrorIsReportedWhileOthersWaitForTheirTime() throws {
        defer { unlink(mirror) }
        let first = model.file.chunks[0].offset
        var system = SystemCalls.here
        system.read = { descriptor, target, count, offset in
            if offset == first, count > 4096 {
                usleep(20_000)
                return -Int(EIO)
            }
            return SystemCalls.here.read(descriptor, target, count, offset)
        }
        let store = try slowest(system: system)
        let error = #expect(throws: LeafError.self) { _ = try store.lease(0) }
        #expect(error?.description.contains("input/output error") == true)
    }
}
