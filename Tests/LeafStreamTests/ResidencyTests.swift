import Foundation
import GoldenSupport
import LeafFormat
import LeafStream
import LeafSystem
import Testing

/// Chunks leave memory and come back between blocks, and no consumer sees a wrong byte or waits without end.
@Suite("residency", .timeLimit(.minutes(30))) struct ResidencyTests {
    /// Sweeps by blocks of four chunks, as a forward pass does, and asks for another working set between some of them.
    private func sweep(
        _ store: BlockStore, _ model: TestModel, sweeps: Int, random: inout SeededGenerator,
        change: (inout SeededGenerator) -> Int?
    ) throws {
        for _ in 0..<sweeps {
            for block in model.file.blocks {
                if let bytes = change(&random) { store.want(pinnedBytes: bytes) }
                try store.settle()
                for chunk in block.chunks {
                    #expect(try store.gives(chunk, of: model))
                }
            }
        }
    }

    @Test(arguments: [IOMode.direct, .buffered, .map], [0.3, 1.0])
    func everyWorkingSetGivesTheFilesBytes(mode: IOMode, share: Double) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let model = try TestModel(
            sizes: TestModel.sizes(count: 80, largest: 30_000, seed: seed), packed: [5, 22, 23, 61], seed: seed)
        let all = model.file.chunks.reduce(0) { $0 + $1.slotBytes }
        let plan = try MemoryPlan(
            budget: budget(holding: Int(Double(all) * share) + 12 * 32_768), chunks: model.file.chunks,
            reserved: nothingReserved)
        #expect((plan.slotCount == 0) == (share == 1))
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: mode), consumers: 1, system: .here)
        let most = store.movableBytes
        try sweep(store, model, sweeps: 30, random: &random) {
            Int.random(in: 0..<3, using: &$0) == 0 ? Int.random(in: -1000...most + 1000, using: &$0) : nil
        }
        // An interrupted sweep in between.
        store.want(pinnedBytes: most / 3)
        try store.settle()
        for chunk in 0..<10 { _ = try store.lease(chunk) }
        store.abandonSweep()
        try sweep(store, model, sweeps: 3, random: &random) { _ in nil }
    }

    /// Bytes read in one settled sweep.
    private func settledReads(_ store: BlockStore, _ model: TestModel, pinnedBytes: Int) throws -> Int {
        var random = SeededGenerator(seed: 1)
        store.want(pinnedBytes: pinnedBytes)
        try sweep(store, model, sweeps: 3, random: &random) { _ in nil }
        let before = store.counters.bytesRead
        try sweep(store, model, sweeps: 10, random: &random) { _ in nil }
        return (store.counters.bytesRead - before) / 10
    }

    @Test func lessInMemoryIsReadMoreAndBack() throws {
        let model = try TestModel(sizes: [Int](repeating: 20_000, count: 80), seed: 1)
        let size = 20_480
        let plan = try MemoryPlan(
            budget: budget(holding: size * (MemoryPlan.preferredSlotCount + 40)), chunks: model.file.chunks,
            reserved: nothingReserved)
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct), consumers: 1, system: .here)
        #expect(store.movableBytes == 40 * size)
        // What is read ahead at either end makes a small difference.
        #expect(abs(try settledReads(store, model, pinnedBytes: 40 * size) - 40 * size) <= size)
        let half = try settledReads(store, model, pinnedBytes: 20 * size)
        #expect(abs(half - 60 * size) <= size)
        #expect(abs(try settledReads(store, model, pinnedBytes: 0) - 80 * size) <= size)
        #expect(abs(try settledReads(store, model, pinnedBytes: 1 << 40) - 40 * size) <= size)
    }

    @Test func whereAllWasResidentSlotsComeOutOfWhatLeaves() throws {
        let model = try TestModel(sizes: [Int](repeating: 20_000, count: 80), seed: 2)
        let size = 20_480
        let plan = try MemoryPlan(budget: 1 << 30, chunks: model.file.chunks, reserved: nothingReserved)
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct), consumers: 1, system: .here)
        #expect(try settledReads(store, model, pinnedBytes: 80 * size) == 0)
        // One chunk makes no room for two slots, so all stays.
        #expect(try settledReads(store, model, pinnedBytes: 79 * size) == 0)
        #expect(abs(try settledReads(store, model, pinnedBytes: 40 * size) - 40 * size) <= size)
        // And back, but for the slots: more chunks than slots are streamed.
        let back = try settledReads(store, model, pinnedBytes: 80 * size)
        #expect(back > 0 && back <= (MemoryPlan.preferredSlotCount + 2) * size)
    }

    /// Those that a second model computes with are the last to leave; in a slot they are not for it.
    @Test func lentChunksAreTheLastToLeave() throws {
        let model = try TestModel(sizes: [Int](repeating: 20_000, count: 80), seed: 5)
        let size = 20_480
        let lent = Array(20..<30)
        let plan = try MemoryPlan(
            budget: budget(holding: size * (MemoryPlan.preferredSlotCount + 40)), chunks: model.file.chunks,
            lending: lent, reserved: nothingReserved)
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct), consumers: 1, system: .here)
        func canBorrow(_ chunk: Int) -> Bool {
            do {
                let lease = try store.borrow(chunk)
                return lease.bytes.byteCount == model.file.chunks[chunk].rawBytes
            } catch {
                return false
            }
        }
        for (pinned, isThere) in [(40, true), (10, true), (5, false), (40, true)] {
            _ = try settledReads(store, model, pinnedBytes: pinned * size)
            #expect(lent.allSatisfy(canBorrow) == isThere, "\(pinned)")
            #expect(lent.contains(where: canBorrow), "\(pinned)")
        }
    }

    @Test func absentChunksAreNeitherReadNorKept() throws {
        let model = try TestModel(sizes: [Int](repeating: 20_000, count: 80), seed: 6)
        let absent = Set((0..<80).filter { $0 % 3 == 0 })
        let plan = try MemoryPlan(
            budget: 1 << 30, chunks: model.file.chunks, leavingOut: absent, reserved: nothingReserved)
        #expect(plan.pinnedBytes == (80 - absent.count) * 20_480 && plan.streamedBytesPerSweep == 0)
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct), consumers: 1, system: .here)
        for _ in 0..<3 {
            for chunk in 0..<80 where !absent.contains(chunk) { #expect(try store.gives(chunk, of: model)) }
            try store.settle()
        }
        _ = try store.lease(1)
        store.abandonSweep()
        for chunk in 0..<80 where !absent.contains(chunk) { #expect(try store.gives(chunk, of: model)) }
        #expect(store.counters.bytesRead == plan.pinnedBytes)
        #expect(throws: LeafError.self) { _ = try store.borrow(0) }
    }

    @Test func aChunkThatNoSlotHoldsStays() throws {
        var sizes = [Int](repeating: 20_000, count: 40)
        sizes[7] = 200_000
        let model = try TestModel(sizes: sizes, seed: 3)
        let plan = try MemoryPlan(
            budget: budget(holding: 20_480 * 16 + 204_800), chunks: model.file.chunks, reserved: nothingReserved)
        #expect(plan.pinnedChunks.contains(7) && plan.slotBytes == 20_480)
        let store = try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .direct), consumers: 1, system: .here)
        #expect(store.movableBytes == (plan.pinnedChunks.count - 1) * 20_480)
        #expect(abs(try settledReads(store, model, pinnedBytes: 0) - 39 * 20_480) <= 20_480)
    }
}

@Suite("memory pressure") struct MemoryPressureTests {
    private func reading(_ room: Int, _ stalled: Double? = nil) -> MemoryPressure.Reading {
        MemoryPressure.Reading(roomBytes: room, stalledPercent: stalled)
    }

    @Test func whatOthersLackIsGivenBackAtOnce() {
        var policy = MemoryPressure(reserveBytes: 100, movableBytes: 1000)
        #expect(policy.allowedBytes(after: reading(90), now: 1000) == 1000)
        #expect(policy.allowedBytes(after: reading(50), now: 1000) == 1000)
        #expect(policy.allowedBytes(after: reading(20), now: 1000) == 920)
        // Also where somebody asked for less than was allowed.
        #expect(policy.allowedBytes(after: reading(0), now: 500) == 400)
        #expect(policy.allowedBytes(after: reading(0), now: 50) == 0)
    }

    @Test func stallsCountAlsoWhereRoomSeemsLeft() {
        var policy = MemoryPressure(reserveBytes: 100, movableBytes: 1000)
        #expect(policy.allowedBytes(after: reading(500, 12), now: 1000) == 875)
        #expect(policy.allowedBytes(after: reading(500, 1), now: 875) == 875)
    }

    @Test func itGrowsOnlyAfterAWhileOfCalmAndToTheStartAtMost() {
        var policy = MemoryPressure(reserveBytes: 100, movableBytes: 1000)
        #expect(policy.allowedBytes(after: reading(0), now: 600) == 500)
        for _ in 0..<4 { #expect(policy.allowedBytes(after: reading(300), now: 500) == 500) }
        #expect(policy.allowedBytes(after: reading(300), now: 500) == 600)
        #expect(policy.allowedBytes(after: reading(5000), now: 600) == 1000)
        // Pressure ends the calm.
        #expect(policy.allowedBytes(after: reading(10), now: 1000) == 910)
        #expect(policy.allowedBytes(after: reading(5000), now: 910) == 910)
    }

    /// While somebody asks for little, nobody knows whether there would be room for much.
    @Test func whatIsAllowedGrowsFromWhatIsThere() {
        var policy = MemoryPressure(reserveBytes: 100, movableBytes: 1000)
        #expect(policy.allowedBytes(after: reading(0), now: 300) == 200)
        for _ in 0..<20 { _ = policy.allowedBytes(after: reading(300), now: 50) }
        #expect(policy.allowedBytes(after: reading(300), now: 50) == 200)
        for _ in 0..<20 { _ = policy.allowedBytes(after: reading(700), now: 50) }
        #expect(policy.allowedBytes(after: reading(700), now: 50) == 350)
    }

    @Test func theContainersOwnPressureComesFirst() {
        let files = [
            "/proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 500 kB\n",
            "/proc/self/status": "Cpus_allowed: 3\n",
            "/proc/self/cgroup": "0::/box\n",
            "/proc/self/mountinfo": "1 2 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "/sys/fs/cgroup/box/memory.max": "409600\n",
            "/sys/fs/cgroup/box/memory.current": "204800\n",
            "/sys/fs/cgroup/box/memory.pressure":
                "some avg10=7.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
            "/proc/pressure/memory": "some avg10=99.00 avg60=0.00 avg300=0.00 total=0\n",
        ]
        let here = MemoryPressure.Reading(KernelReports { files[$0] })
        #expect(here == reading(204_800, 7.5))
        let outside = MemoryPressure.Reading(
            KernelReports { $0.hasPrefix("/sys") ? nil : files[$0] })
        #expect(outside == reading(512_000, 99))
        #expect(MemoryPressure.Reading(KernelReports { _ in nil }).stalledPercent == nil)
    }
}
