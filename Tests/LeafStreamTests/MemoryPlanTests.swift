import GoldenSupport
import LeafFormat
import LeafStream
import LeafSystem
import Testing

/// A budget that holds so many bytes and their page tables.
func budget(holding bytes: Int) -> Int { bytes + (bytes + 511) / 512 }

@Suite("memory plan") struct MemoryPlanTests {
    /// A random model's chunks: mostly the largest size, some smaller, some packed, now and then an outsize one.
    private func randomChunks(using random: inout SeededGenerator) -> [Chunk] {
        let largest = 4096 * Int.random(in: 1...64, using: &random)
        return (0..<Int.random(in: 1...200, using: &random)).map { index in
            var raw = Bool.random(using: &random) ? largest : Int.random(in: 1...largest, using: &random)
            if Int.random(in: 0..<50, using: &random) == 0 { raw *= 9 }
            let isPacked = Int.random(in: 0..<5, using: &random) == 0
            return Chunk(
                matrix: 0, firstOutput: 0, outputCount: 16, offset: index << 24,
                storedBytes: isPacked ? (raw + 1) / 2 : raw,
                rawBytes: raw, codec: isPacked ? .lz4 : .raw, digest: 0)
        }
    }

    private func randomReserved(using random: inout SeededGenerator) -> [MemoryPlan.Part] {
        func part() -> Int { Int.random(in: 0...10_000_000, using: &random) }
        return .reserved(runtime: part(), tokenizer: part(), resident: part(), kv: part(), scratch: part())
    }

    private func smallestBudget(_ chunks: [Chunk], _ reserved: [MemoryPlan.Part]) throws -> Int {
        try MemoryPlan(budget: 1 << 50, chunks: chunks, reserved: reserved).minimum
    }

    @Test func everyPlanKeepsToItsBudgetAndUsesIt() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let chunks = randomChunks(using: &random)
            let reserved = randomReserved(using: &random)
            let needs = chunks.map(\.slotBytes)
            let all = needs.reduce(0, +)
            let minimum = try smallestBudget(chunks, reserved)
            var lastTotal = 0
            for given in (0..<8).map({ _ in
                Int.random(in: minimum...budget(holding: reserved.total + all) + 4096, using: &random)
            }).sorted() {
                let plan = try MemoryPlan(budget: given, chunks: chunks, reserved: reserved)
                let comment = Comment(rawValue: "seed \(seed), budget \(given), \(plan)")
                #expect(plan.total <= given, comment)
                #expect(plan.minimum == minimum, comment)
                #expect(plan.total >= lastTotal, comment)
                lastTotal = plan.total

                let pinned = Set(plan.pinnedChunks)
                #expect(plan.pinnedBytes == pinned.reduce(0) { $0 + needs[$1] }, comment)
                let streamed = chunks.indices.filter { !pinned.contains($0) }
                #expect(plan.streamedBytesPerSweep == streamed.reduce(0) { $0 + chunks[$1].paddedBytes }, comment)
                if given >= budget(holding: reserved.total + all) {
                    #expect(streamed.isEmpty && plan.slotCount == 0, comment)
                } else {
                    #expect((2...MemoryPlan.preferredSlotCount).contains(plan.slotCount), comment)
                    #expect(plan.slotCount < streamed.count, comment)
                    #expect(streamed.allSatisfy { needs[$0] <= plan.slotBytes }, comment)
                    // Nothing that is left would take another chunk.
                    #expect(given - plan.total < budget(holding: streamed.map { needs[$0] }.min()!), comment)
                }
            }
        }
    }

    @Test func oneByteLessThanTheSmallestBudgetIsRefused() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let chunks = randomChunks(using: &random)
            let reserved = randomReserved(using: &random)
            let minimum = try smallestBudget(chunks, reserved)
            #expect(
                try MemoryPlan(budget: minimum, chunks: chunks, reserved: reserved).total == minimum, "seed \(seed)")
            let error = #expect(throws: LeafError.self, "seed \(seed)") {
                try MemoryPlan(budget: minimum - 1, chunks: chunks, reserved: reserved)
            }
            #expect(error?.exitCode == 3)
        }
    }

    @Test func theRefusalNamesABudgetThatWorks() throws {
        let chunks = (0..<10).map {
            Chunk(
                matrix: 0, firstOutput: 0, outputCount: 16, offset: $0 << 22, storedBytes: 4 << 20, rawBytes: 4 << 20,
                codec: .raw, digest: 0)
        }
        let reserved = [MemoryPlan.Part].reserved(
            runtime: 30 << 20, tokenizer: 12 << 20, resident: 1, kv: 0, scratch: 0)
        let error = #expect(throws: LeafError.self) {
            try MemoryPlan(budget: 1 << 20, chunks: chunks, reserved: reserved)
        }
        #expect(error?.description == "this model needs at least 51 MiB here, you gave 1.0 MiB")
        #expect(error?.advice == .memory(bytes: 51 << 20))
        #expect(try MemoryPlan(budget: 51 << 20, chunks: chunks, reserved: reserved).slotCount == 2)
        let automatic = #expect(throws: LeafError.self) {
            try MemoryPlan(budget: 1 << 20, isGiven: false, chunks: chunks, reserved: reserved)
        }
        let meant = #expect(throws: LeafError.self) {
            try MemoryPlan(budget: 1 << 20, for: "8 sequences of 9 tokens", chunks: chunks, reserved: reserved)
        }
        #expect(
            meant?.description == "this model needs at least 51 MiB for 8 sequences of 9 tokens, you gave 1.0 MiB")
        #expect(automatic?.description.contains("here, this machine (or container) has 1.0 MiB to give") == true)
    }

    /// Bytes in use of a typical model: of what the reserved parts and slots leave, at least nine tenths.
    @Test func pinnedChunksTakeNineTenthsOfWhatIsLeft() throws {
        let chunks = (0..<2400).map {
            Chunk(
                matrix: 0, firstOutput: 0, outputCount: 16, offset: $0 << 22, storedBytes: 4 << 20, rawBytes: 4 << 20,
                codec: .raw, digest: 0)
        }
        let reserved = [MemoryPlan.Part].reserved(
            runtime: 30 << 20, tokenizer: 12 << 20, resident: 9 << 20, kv: 100 << 20, scratch: 20 << 20)
        for budget in stride(from: 256 << 20, through: 9 << 30, by: 333 << 20) {
            let plan = try MemoryPlan(budget: budget, chunks: chunks, reserved: reserved)
            #expect(Double(plan.pinnedBytes) >= 0.9 * Double(budget - reserved.total - plan.slotsBytes))
        }
    }

    @Test func pinnedChunksAreSpreadEvenlyOverTheSweep() throws {
        let chunks = (0..<1000).map {
            Chunk(
                matrix: 0, firstOutput: 0, outputCount: 16, offset: $0 << 12, storedBytes: 4096, rawBytes: 4096,
                codec: .raw,
                digest: 0)
        }
        for pinnedCount in stride(from: 10, to: 980, by: 17) {
            let given = budget(holding: 4096 * (pinnedCount + MemoryPlan.preferredSlotCount))
            let plan = try MemoryPlan(budget: given, chunks: chunks, reserved: nothingReserved)
            #expect(plan.pinnedChunks.count == pinnedCount)
            let pinned = Set(plan.pinnedChunks)
            // From any chunk on, there are about as many pinned chunks as the share says: a ring bridges the
            // difference.
            var before = [0]
            for chunk in chunks.indices { before.append(before[chunk] + (pinned.contains(chunk) ? 1 : 0)) }
            for length in [10, 50, 200] {
                for start in 0...chunks.count - length {
                    let expected = Double(length * pinnedCount) / Double(chunks.count)
                    let count = Double(before[start + length] - before[start])
                    #expect(abs(count - expected) <= 4, "\(pinnedCount) pinned, \(length) from \(start)")
                }
            }
        }
    }

    /// A second model computes with them, so that they stay before any other, and need their room.
    @Test func lentChunksStayInMemory() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let chunks = randomChunks(using: &random)
            let lent = chunks.indices.filter { _ in Bool.random(using: &random) }
            let minimum = try MemoryPlan(budget: 1 << 50, chunks: chunks, lending: lent, reserved: nothingReserved)
                .minimum
            #expect(minimum >= (try smallestBudget(chunks, nothingReserved)), "seed \(seed)")
            for given in [minimum, minimum + Int.random(in: 0...8_000_000, using: &random)] {
                let plan = try MemoryPlan(budget: given, chunks: chunks, lending: lent, reserved: nothingReserved)
                let streamed = chunks.count - plan.pinnedChunks.count
                #expect(Set(plan.pinnedChunks).isSuperset(of: lent) && plan.total <= given, "seed \(seed)")
                #expect(streamed == 0 ? plan.slotCount == 0 : (2..<streamed).contains(plan.slotCount), "seed \(seed)")
            }
            #expect(throws: LeafError.self, "seed \(seed)") {
                try MemoryPlan(budget: minimum - 1, chunks: chunks, lending: lent, reserved: nothingReserved)
            }
        }
    }

    @Test func aLargerBudgetPinsWhatASmallerOneDoes() throws {
        let chunks = (0..<500).map {
            Chunk(
                matrix: 0, firstOutput: 0, outputCount: 16, offset: $0 << 12, storedBytes: 4096, rawBytes: 4096,
                codec: .raw,
                digest: 0)
        }
        var smaller: Set<Int> = []
        for pinnedCount in stride(from: 0, to: 490, by: 13) {
            let given = budget(holding: 4096 * (pinnedCount + MemoryPlan.preferredSlotCount))
            let pinned = Set(try MemoryPlan(budget: given, chunks: chunks, reserved: nothingReserved).pinnedChunks)
            #expect(pinned.isSuperset(of: smaller))
            smaller = pinned
        }
    }

    @Test func reservedPartsBeyondAllNumbersAreRefused() {
        let reserved = [MemoryPlan.Part].reserved(runtime: .max, tokenizer: .max, resident: 1, kv: .max, scratch: .max)
        #expect(throws: LeafError.self) { try MemoryPlan(budget: 1 << 40, chunks: [], reserved: reserved) }
    }

    @Test func nobodyIsToldToGiveWhatNoMachineHas() {
        for bytes in [1 << 50, Int.max] {
            let reserved = [MemoryPlan.Part].reserved(runtime: bytes, tokenizer: 0, resident: 0, kv: 0, scratch: 0)
            let error = #expect(throws: LeafError.self) {
                try MemoryPlan(budget: 1 << 40, chunks: [], reserved: reserved)
            }
            #expect(error?.kind == .budget && error?.advice == nil)
        }
    }

    @Test func aModelWithoutChunksNeedsItsReservedPartsOnly() throws {
        let plan = try MemoryPlan(budget: 0, chunks: [], reserved: nothingReserved)
        #expect(plan.total == 0 && plan.minimum == 0 && plan.slotCount == 0)
    }

    @Test func theDescriptionNamesEveryPartAndTheSmallestBudget() throws {
        let chunks = (0..<2320).map {
            Chunk(
                matrix: 0, firstOutput: 0, outputCount: 16, offset: $0 << 22, storedBytes: 4 << 20, rawBytes: 4 << 20,
                codec: .raw, digest: 0)
        }
        let reserved = [MemoryPlan.Part].reserved(
            runtime: 24 << 20, tokenizer: 12 << 20, resident: 8_500_000, kv: 201 << 20, scratch: 3 << 19)
        let plan = try MemoryPlan(budget: 512 << 20, for: "100 tokens", chunks: chunks, reserved: reserved)
        #expect(
            plan.description == """
                runtime      25.0 MiB   program, libraries, stacks, page tables
                tables            0 B   what headers say of the files
                tokenizer    12.0 MiB
                resident      8.1 MiB   norms, scales, position bias
                kv cache    201.0 MiB
                scratch       1.5 MiB   rows on a sweep
                slots        24.0 MiB   6 of 4.0 MiB; 9.48 GB read a sweep
                pinned      240.0 MiB   60 of 2320 chunks
                planned     511.6 MiB   of 512.0 MiB; the smallest budget for 100 tokens is 256 MiB
                """)
    }
}
