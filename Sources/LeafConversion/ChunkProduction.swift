package import LeafFormat
package import LeafSystem

/// Makes the chunks of a model file on several threads and writes them in order.
package struct ChunkProduction {
    /// In stored bytes of the matrices.
    package struct Progress {
        package let bytesDone: Int
        package let bytesTotal: Int
        /// Bytes that an interrupted run had left.
        package let bytesResumed: Int
    }

    private let writer: LeafWriter
    private let threads: Int
    private let jobs: [[ChunkJob]]
    private let rows: Int
    private let scratchBytes: Int

    /// Slots besides one for each thread, for chunks that are made while the disk is slow.
    private static let slotsAhead = 4

    /// - Parameter scratchBytes: of each slot.
    package init(_ writer: LeafWriter, threads: Int, scratchBytes: Int) {
        self.writer = writer
        self.threads = threads
        self.scratchBytes = scratchBytes
        jobs = ChunkJob.all(writer.layout.shape)
        rows = jobs.joined().map(\.rows.count).max() ?? 0
    }

    /// Bytes of the slots of a run, where memory is not short.
    package var usualBytes: Int { (threads + Self.slotsAhead) * slotBytes }
    /// Bytes of one slot; a run has one at least.
    package var slotBytes: Int { ChunkSlot.byteCount(rows: rows, scratchBytes: scratchBytes) }

    /// - Parameters:
    ///   - memoryBytes: for all slots.
    ///   - make: fills a slot with a job's stored outputs, and their scales where the layout has them; on any thread.
    ///   - isCancelled: called after each chunk; true ends the run with `.cancelled` and a file that can be resumed.
    ///   - progress: called after each chunk, on the calling thread.
    /// - Returns: the bytes of matrices that were written.
    package func run(
        memoryBytes: Int, make: @escaping @Sendable (ChunkJob, ChunkSlot) throws(LeafError) -> Void,
        isCancelled: () -> Bool, progress: (Progress) -> Void
    ) throws(LeafError) -> Int {
        let total = jobs.joined().reduce(0) { $0 + $1.byteCount }
        let resumed = jobs[..<writer.completedBlocks].joined().reduce(0) { $0 + $1.byteCount }
        var done = resumed
        let slotCount = max(1, min(memoryBytes / slotBytes, threads + Self.slotsAhead))
        var slots: [ChunkSlot] = []
        for _ in 0..<slotCount { slots.append(try ChunkSlot(rows: rows, scratchBytes: scratchBytes)) }
        let left = Array(jobs[writer.completedBlocks...].joined())
        let matrices = writer.layout.shape.matrices
        try OrderedPipeline(slots: slots, threads: min(threads, slotCount)).run(
            left.count,
            make: { (index, slot) throws(LeafError) in
                try make(left[index], slot)
                return slot
            },
            use: { (index, slot) throws(LeafError) in
                let job = left[index]
                if job.rows.lowerBound == 0 { writer.beginMatrix() }
                try writer.append(
                    chunk: UnsafeRawBufferPointer(rebasing: slot.bytes.bytes[..<job.byteCount]),
                    outputCount: job.rows.count)
                if matrices[job.matrix].layout.scales == .resident {
                    try writer.write(
                        FileShape.scaleName(of: matrices[job.matrix].name),
                        UnsafeRawBufferPointer(UnsafeMutableBufferPointer(rebasing: slot.rowScales[..<job.rows.count])),
                        at: job.rows.lowerBound * MemoryLayout<Float>.size)
                }
                if job.isLastOfBlock { try writer.endBlock(sourceDigest: 0) }
                done += job.byteCount
                progress(Progress(bytesDone: done, bytesTotal: total, bytesResumed: resumed))
                if isCancelled() {
                    throw LeafError(.cancelled, "stopped; run the same command again, it goes on from here")
                }
            })
        return done - resumed
    }
}
