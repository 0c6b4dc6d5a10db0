import CPMAnt
import LeafFormat
import LeafStream

/// How long a model takes for blocks whose weights stream past one row: its own file, its own kernels, the smallest working
/// set. All blocks, or as many of the first as the time allows, pass over and over: a virtual disk may give one part of a file
/// faster than another.
struct StreamProbe {
    /// Of all passes together.
    let seconds: Double
    let bytes: Int
    /// The blocks of one pass, and how often they passed.
    let blocks: Range<Int>
    let passes: Int

    /// - Parameters:
    ///   - reading: as a run reads, but for its limit.
    ///   - duration: in seconds, of the passes that are counted, and the most for the one before them, which also checks
    ///     what it reads.
    /// - Returns: nil for a model that has nothing to stream.
    /// - Throws: `.io` and `.badInput` when the file cannot be read, `.budget` without memory for it, `.usage` for float
    ///   weights without OpenBLAS.
    static func measure(
        _ file: LeafFile, _ reading: ReadingOptions, threads: Int, instructionSet: InstructionSet,
        activations: ActivationPrecision,
        duration: Double = 2.5
    ) throws(LeafError) -> StreamProbe? {
        let capacity = ForwardCapacity(rows: 1, logitRows: 1, positions: 1, threads: threads)
        let plan = try plan(file, capacity, activations)
        guard plan.streamedBytesPerSweep > 0 else { return nil }
        let store = try BlockStore(
            file: file, plan: plan, reading: ReadingOptions(mode: reading.mode, mirror: reading.mirror),
            consumers: threads)
        let pool = try ComputePool(threadCount: threads)
        defer { pool.stop() }
        let model = try CPMAntModel(
            file: file, store: store, pool: pool, instructionSet: instructionSet, capacity: capacity,
            activations: activations, kv: .f32)

        /// - Returns: how many blocks the row passed before it was time.
        func pass(until isOver: (_ passed: Int) -> Bool) throws(LeafError) -> Int {
            let sequence = model.cache.makeSequence()
            defer { model.cache.remove(sequence) }
            let row = RowBatch.Row(
                input: .token(0), sequence: sequence, index: 0, segment: 0, isContext: true, wantsLogits: true)
            var begun = 0
            do throws(LeafError) {
                try model.forward(
                    RowBatch(rows: [row]),
                    isCancelled: {
                        if isOver(begun) { return true }
                        begun += 1
                        return false
                    }, logits: { _, _ in })
            } catch  where error.kind == .cancelled {}
            return begun
        }

        let start = ContinuousClock.now
        func elapsed() -> Double { (ContinuousClock.now - start) / .seconds(1) }
        let reach = try pass { $0 > 0 && elapsed() > duration }
        let begin = elapsed()
        var passes = 0
        repeat {
            _ = try pass { $0 == reach }
            passes += 1
        } while elapsed() - begin < duration
        let pinned = Set(plan.pinnedChunks)
        let streamed = file.blocks[..<reach].lazy.flatMap(\.matrices).flatMap { file.matrices[$0].chunks }
            .reduce(0) { pinned.contains($1) ? $0 : $0 + file.chunks[$1].paddedBytes }
        return StreamProbe(
            seconds: elapsed() - begin, bytes: streamed * passes, blocks: 0..<reach, passes: passes)
    }

    /// All slots, and as little else as possible.
    private static func plan(
        _ file: LeafFile, _ capacity: ForwardCapacity, _ activations: ActivationPrecision
    ) throws(LeafError) -> MemoryPlan {
        let bytes = CPMAntModel.plannedBytes(file, capacity: capacity, activations: activations, kv: .f32)
        func plan(_ budget: Int) throws(LeafError) -> MemoryPlan {
            try MemoryPlan(
                budget: budget, chunks: file.chunks,
                reserved: MemoryPlan.Reserved(
                    runtime: 0, tokenizer: 0, resident: bytes.resident, kv: bytes.kv, scratch: bytes.scratch))
        }
        let everything = try plan(.max)
        return try plan(everything.minimum + MemoryPlan.preferredSlotCount * everything.slotBytes)
    }
}
