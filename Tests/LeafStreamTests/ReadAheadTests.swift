import Foundation
import GoldenSupport
import LeafFormat
import LeafStream
import LeafSystem
import Synchronization
import Testing

/// What is read when: seen through the reads that the store makes.
@Suite("read-ahead") struct ReadAheadTests {
    /// Counts the reads at each offset and lets a thread sleep until one of them happens.
    private final class Recorder: Sendable {
        private let counts = Locked<[Int: Int]>([:])
        private let condition = NSCondition()

        func record(_ offset: Int) {
            condition.lock()
            counts.withLock { $0[offset, default: 0] += 1 }
            condition.broadcast()
            condition.unlock()
        }
        func count(_ offset: Int) -> Int { counts.withLock { $0[offset] ?? 0 } }
        func wait(until count: Int, at offset: Int) {
            condition.lock()
            while self.count(offset) < count { condition.wait() }
            condition.unlock()
        }
        var system: SystemCalls {
            var system = SystemCalls.here
            system.read = { descriptor, target, count, offset in
                // The probe of direct reading is one page.
                if count > 4096 { self.record(offset) }
                return SystemCalls.here.read(descriptor, target, count, offset)
            }
            return system
        }
    }

    private let model: TestModel
    private let plan: MemoryPlan
    private let recorder = Recorder()

    init() throws {
        model = try TestModel(sizes: [Int](repeating: 20_000, count: 40), seed: 1)
        plan = try MemoryPlan(
            budget: budget(holding: 20_480 * (MemoryPlan.preferredSlotCount + 10)), chunks: model.file.chunks,
            reserved: nothingReserved)
    }

    @Test(.timeLimit(.minutes(30))) func readingBeginsWithTheStoreAndWrapsToTheNextSweep() throws {
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct), consumers: 1, system: recorder.system)
        let first = model.file.chunks.indices.first { !plan.pinnedChunks.contains($0) }!
        recorder.wait(until: 1, at: model.file.chunks[first].offset)
        for chunk in model.file.chunks.indices { _ = try store.lease(chunk) }
        // Nobody has asked for the second sweep.
        recorder.wait(until: 2, at: model.file.chunks[first].offset)
        #expect(store.counters.sweeps == 1)
    }

    @Test func aSweepReadsTheModelLessWhatIsPinned() throws {
        let sweeps = 5
        var store: BlockStore? = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct), consumers: 2, system: recorder.system)
        #expect(sweep(store!, over: model, sweeps: sweeps, consumers: 2, seed: 1) == [])
        store = nil
        #expect(plan.pinnedChunks.count == 10)
        var ahead = 0
        for (index, chunk) in model.file.chunks.enumerated() {
            let count = recorder.count(chunk.offset)
            if plan.pinnedChunks.contains(index) {
                #expect(count == 1)
            } else {
                #expect(count == sweeps || count == sweeps + 1)
                ahead += count - sweeps
            }
        }
        #expect(ahead <= plan.slotCount)
    }

    @Test func whatIsResidentIsReadOnceAndRowsAreCopied() throws {
        let all = try MemoryPlan(budget: 1 << 30, chunks: model.file.chunks, reserved: nothingReserved)
        let store = try BlockStore(
            file: model.file, plan: all, reading: .init(mode: .direct), consumers: 1, system: recorder.system)
        #expect(sweep(store, over: model, sweeps: 3, consumers: 1, seed: 2) == [])
        let reads = store.counters.reads
        #expect(reads == model.file.chunks.count)
        #expect(store.counters.bytesRead == all.pinnedBytes)
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 777, alignment: 1)
        defer { bytes.deallocate() }
        try store.read(at: model.file.chunks[7].offset + 123, into: bytes)
        #expect(bytes.elementsEqual(model.contents[7][123..<900]))
        #expect(store.counters.reads == reads)
    }

    @Test func anyBytesOfTheFileCanBeRead() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let contents = try Data(contentsOf: URL(fileURLWithPath: model.file.path))
        for mode in IOMode.allCases {
            let store = try BlockStore(
                file: model.file, plan: plan, reading: .init(mode: mode), consumers: 1, system: .here)
            let lease = try store.lease(0)
            for _ in 0..<50 {
                let offset = Int.random(in: 0..<contents.count, using: &random)
                let count = Int.random(in: 0...min(60_000, contents.count - offset), using: &random)
                let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
                defer { bytes.deallocate() }
                try store.read(at: offset, into: bytes)
                #expect(bytes.elementsEqual(contents[offset..<offset + count]), "seed \(seed), \(count) at \(offset)")
            }
            let beyond = UnsafeMutableRawBufferPointer.allocate(byteCount: 2, alignment: 1)
            defer { beyond.deallocate() }
            #expect(throws: LeafError.self) { try store.read(at: contents.count - 1, into: beyond) }
            let chunk = lease.chunk
            #expect(chunk == 0)
        }
    }

    @Test(arguments: [IOMode.direct, .buffered, .map])
    func anAbandonedSweepIsFollowedByACleanOne(mode: IOMode) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: mode), consumers: 2, system: .here)
        for _ in 0..<20 {
            // Two consumers come to different chunks; one may have released what the other never asks for.
            let ends = [Int.random(in: 0...40, using: &random), 0]
            let other = max(0, min(40, ends[0] + Int.random(in: -4...4, using: &random)))
            onThreads(2) { consumer in
                for chunk in 0..<(consumer == 0 ? ends[0] : other) { _ = try? store.lease(chunk) }
            }
            store.abandonSweep()
            #expect(
                sweep(store, over: model, sweeps: 1, consumers: 2, seed: seed, napMicroseconds: 10) == [],
                "seed \(seed)")
            // At a boundary there is nothing to abandon.
            if Bool.random(using: &random) { store.abandonSweep() }
        }
    }

    @Test func aStoreMayEndWhileItReads() throws {
        for mode in [IOMode.direct, .buffered, .map] {
            for delay in [0, 200, 2000] as [UInt32] {
                let isOver = Atomic<Bool>(false)
                let lateReads = Atomic<Int>(0)
                var system = SystemCalls.here
                nonisolated(unsafe) let over = { isOver.load(ordering: .acquiring) }
                nonisolated(unsafe) let late = { _ = lateReads.add(1, ordering: .relaxed) }
                system.read = { descriptor, target, count, offset in
                    usleep(1000)
                    if over() { late() }
                    return SystemCalls.here.read(descriptor, target, count, offset)
                }
                var store: BlockStore? = try BlockStore(
                    file: model.file, plan: plan, reading: .init(mode: mode), consumers: 1, system: system)
                _ = try store?.lease(0)
                usleep(delay)
                store = nil
                isOver.store(true, ordering: .releasing)
                usleep(2000)
                #expect(lateReads.load(ordering: .relaxed) == 0)
            }
        }
    }

    /// A lease that an array can hold.
    private final class Held {
        let lease: ChunkLease
        init(_ lease: consuming ChunkLease) { self.lease = lease }
        func isRight(_ model: TestModel) -> Bool { model.isRight(lease) }
    }

    @Test func aLeaseOutlivesItsStore() throws {
        var store: BlockStore? = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct), consumers: 1, system: .here)
        let lease = try #require(store).lease(0)
        store = nil
        let isRight = lease.bytes.hold(model.contents[0])
        #expect(isRight)
    }

    /// Emptying slots takes the kernel some time, and consumers must not wait for it.
    @Test(.timeLimit(.minutes(30))) func memoryIsGivenBackWithoutHoldingUpAnyone() throws {
        let asked = Locked<(@Sendable () -> Void)?>(nil)
        let calls = Locked(0)
        var system = SystemCalls.here
        system.adviseMemory = { address, count, advice in
            if advice == .dontNeed {
                calls.withLock { $0 += 1 }
                // Takes the store's lock, which its owner cannot take twice.
                asked.withLock { $0 }?()
            }
            return SystemCalls.here.adviseMemory(address, count, advice)
        }
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .map), consumers: 1, system: system)
        asked.withLock { $0 = { [weak store] in _ = store?.streamedBytesPerSweep } }
        #expect(sweep(store, over: model, sweeps: 2, consumers: 1, seed: 3) == [])
        store.want(pinnedBytes: 0)
        for _ in 0..<3 {
            try store.settle()
            #expect(sweep(store, over: model, sweeps: 1, consumers: 1, seed: 3) == [])
        }
        _ = try store.lease(0)
        store.abandonSweep()
        asked.withLock { $0 = nil }
        #expect(calls.withLock { $0 } > 60)
    }

    @Test func aConsumerMayHoldSeveralChunks() throws {
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct), consumers: 1, system: .here)
        var held: [Held] = []
        for _ in 0..<3 {
            for chunk in model.file.chunks.indices {
                held.append(Held(try store.lease(chunk)))
                if held.count == 4 {
                    for held in held { #expect(held.isRight(model)) }
                    while !held.isEmpty { held.removeLast() }
                }
            }
        }
    }
}
