import CPMAnt
import CPMAntShape
import LeafExecutor
import LeafFormat
import LeafStream

/// How long blocks of a model take that are read past nothing, and past one row: its own file, its own kernels, so much of
/// them in memory that reading takes as long as whoever asks wants it beside computing.
///
/// The first blocks pass over and over, by turns with and without the row: a virtual disk gives one part of a file faster than
/// another, and one second more than the next.
package struct StreamProbe {
    /// Of one pass.
    let blocks: Range<Int>
    /// Bytes a second of the passes without the row.
    let bytesPerSecond: Double
    /// Of a pass without the row and of one with it, on average.
    let readingSeconds: Double
    let bothSeconds: Double

    package init(blocks: Range<Int>, bytesPerSecond: Double, readingSeconds: Double, bothSeconds: Double) {
        self.blocks = blocks
        self.bytesPerSecond = bytesPerSecond
        self.readingSeconds = readingSeconds
        self.bothSeconds = bothSeconds
    }

    /// - Parameters:
    ///   - reading: as a run reads, but for its limit.
    ///   - streamedShare: how much of the weights is read in each pass.
    ///   - memoryBytes: the most of the model that may be touched, but for one block.
    ///   - duration: in seconds, of the passes that are counted, and half of it the most for the one before them, which also
    ///     checks what it reads.
    /// - Returns: nil for a model that has nothing to stream.
    /// - Throws: `.io` and `.badInput` when the file cannot be read, `.budget` without memory for it, `.usage` for float
    ///   weights without OpenBLAS.
    static func measure(
        _ file: CPMAntFile, _ reading: ReadingOptions, streamedShare: Double, memoryBytes: Int, threads: Int,
        instructionSet: InstructionSet, activations: ActivationPrecision, duration: Double = 4
    ) throws(LeafError) -> StreamProbe? {
        let capacity = ForwardCapacity(rows: 1, logitRows: 1, positions: 1, threads: threads)
        let plan = try plan(file, capacity, activations, streamedShare)
        guard plan.streamedBytesPerSweep > 0 else { return nil }
        let store = try BlockStore(
            file: file.leaf, plan: plan,
            reading: ReadingOptions(
                mode: reading.mode, mirror: reading.mirror, guardsMapping: reading.guardsMapping),
            consumers: threads)
        let pool = try ComputePool(threadCount: threads)
        defer { pool.stop() }
        let model = try CPMAnt.executor(
            of: file, store: store, pool: pool, capacity: capacity,
            activations: activations, kv: .f32)

        /// - Returns: how many blocks the row passed before it was time.
        func compute(until isOver: (_ passed: Int) -> Bool) throws(LeafError) -> Int {
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
        func read(_ chunks: Range<Int>) throws(LeafError) {
            for chunk in chunks {
                for consumer in 0..<threads { _ = try store.lease(chunk, consumer: consumer) }
            }
            store.abandonSweep()
        }

        let start = ContinuousClock.now
        func elapsed() -> Double { (ContinuousClock.now - start) / .seconds(1) }
        func chunks(ofFirst blocks: Int) -> Range<Int> { 0..<file.leaf.blocks[blocks - 1].chunks.upperBound }
        let blocks =
            0..<(try compute { passed in
                passed > 0
                    && (elapsed() > duration / 2
                        || file.leaf.chunks[chunks(ofFirst: passed + 1)].paddedBytes > memoryBytes)
            })
        let begin = elapsed()
        var end = begin
        var readingSeconds = 0.0
        var bytesRead = 0
        var passes = 0.0
        repeat {
            let before = store.counters.bytesRead
            try read(chunks(ofFirst: blocks.count))
            let middle = elapsed()
            readingSeconds += middle - end
            bytesRead += store.counters.bytesRead - before
            _ = try compute { $0 == blocks.count }
            end = elapsed()
            passes += 1
        } while end - begin < duration
        return StreamProbe(
            blocks: blocks, bytesPerSecond: Double(bytesRead) / readingSeconds, readingSeconds: readingSeconds / passes,
            bothSeconds: (end - begin - readingSeconds) / passes)
    }

    /// All slots, the pinned share, and as little else as possible.
    private static func plan(
        _ file: CPMAntFile, _ capacity: ForwardCapacity, _ activations: ActivationPrecision, _ streamedShare: Double
    ) throws(LeafError) -> MemoryPlan {
        let bytes = try CPMAnt.plannedBytes(file, capacity: capacity, activations: activations, kv: .f32)
        func plan(_ budget: Int) throws(LeafError) -> MemoryPlan {
            try MemoryPlan(
                budget: budget, chunks: file.leaf.chunks,
                reserved: [
                    MemoryPlan.Part(.resident, bytes.resident), MemoryPlan.Part(.kv, bytes.kv),
                    MemoryPlan.Part(.scratch, bytes.scratch),
                ])
        }
        let everything = try plan(.max)
        let pinned = Int((1 - min(max(0, streamedShare), 1)) * Double(everything.pinnedBytes))
        return try plan(everything.minimum + MemoryPlan.preferredSlotCount * everything.slotBytes + pinned)
    }
}
