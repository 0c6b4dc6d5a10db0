import CPMAnt
import CPMAntShape
import LeafExecutor
import LeafGeneration
import LeafStream
import LeafSystem

/// Times passes over a model's first blocks twice: reading only, and reading while one row is computed. The share kept
/// in memory is chosen so that reading takes `ratio` times as long as computing.
///
/// The two kinds of passes alternate, because a virtual disk reads one part of a file faster than another, and varies
/// from second to second.
package struct StreamProbe {
    /// The blocks of one pass.
    let blocks: Range<Int>
    /// Bytes per second of passes that only read.
    let bytesPerSecond: Double
    /// The mean seconds of a pass that only reads.
    let readingSeconds: Double
    /// The mean seconds of a pass that reads and computes.
    let bothSeconds: Double

    package init(blocks: Range<Int>, bytesPerSecond: Double, readingSeconds: Double, bothSeconds: Double) {
        self.blocks = blocks
        self.bytesPerSecond = bytesPerSecond
        self.readingSeconds = readingSeconds
        self.bothSeconds = bothSeconds
    }

    /// Seconds of the counted passes. The first pass, which also checks what it reads, is not counted and takes at most
    /// half as long.
    private static let duration = 4.0

    /// - Parameters:
    ///   - reading: as in a run, without its limit.
    ///   - streamedShare: the share of the weights that each pass reads.
    ///   - memoryBytes: the most of the model to touch, except for one block.
    /// - Returns: nil for a model with nothing to stream, or more of it than a limit on addresses allows.
    /// - Throws: `.io` and `.badInput` if the file cannot be read, `.budget` if there is not enough memory, `.usage`
    ///   for float weights without OpenBLAS, `.cancelled`.
    static func measure(
        _ file: CPMAntFile, _ reading: ReadingOptions, streamedShare: Double, memoryBytes: Int, threads: Int,
        instructionSet: InstructionSet, activations: ActivationPrecision, cancellation: Cancellation
    ) throws(LeafError) -> StreamProbe? {
        let options = ExecutorOptions(
            capacity: Demand(context: 1), threads: threads, activations: activations, kv: .f32)
        guard let plan = try plan(file, options, streamedShare) else { return nil }
        var unlimited = reading
        unlimited.maxBytesPerSecond = nil
        let store = try BlockStore(file: file.leaf, plan: plan, reading: unlimited, consumers: threads)
        let watch = cancellation.watch { store.interrupt() }
        defer { cancellation.unwatch(watch) }
        let pool = try ComputePool(threadCount: threads, kernels: Kernels(instructionSet))
        defer { pool.stop() }
        let model = try CPMAnt.executor(of: file, store: store, pool: pool, options)

        /// - Returns: the number of blocks that the row passed in the time.
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
                        if isOver(begun) || cancellation.isCancelled { return true }
                        begun += 1
                        return false
                    }, logits: { _, _ in })
            } catch  where error.kind == .cancelled && !cancellation.isCancelled {}
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
                    && (elapsed() > Self.duration / 2
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
        } while end - begin < Self.duration
        return StreamProbe(
            blocks: blocks, bytesPerSecond: Double(bytesRead) / readingSeconds, readingSeconds: readingSeconds / passes,
            bothSeconds: (end - begin - readingSeconds) / passes)
    }

    /// Plans all slots, the pinned share, and as little else as possible.
    ///
    /// - Returns: nil if nothing is streamed, or a limit on addresses, which are reserved for all that could be kept in
    ///   memory, leaves less.
    private static func plan(
        _ file: CPMAntFile, _ options: ExecutorOptions, _ streamedShare: Double
    ) throws(LeafError) -> MemoryPlan? {
        let parts = try CPMAnt.parts(file, options)
        func plan(_ budget: Int) throws(LeafError) -> MemoryPlan {
            try MemoryPlan(budget: budget, chunks: file.leaf.chunks, reserved: parts)
        }
        let everything = try plan(.max)
        let pinned = Int((1 - min(max(0, streamedShare), 1)) * Double(everything.pinnedBytes))
        let made = try plan(everything.minimum + MemoryPlan.preferredSlotCount * everything.slotBytes + pinned)
        let room = AddressLimit.room() ?? .max
        return made.streamedBytesPerSweep > 0 && made.addressBytes(threads: options.threads) <= room ? made : nil
    }
}
