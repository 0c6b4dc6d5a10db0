import CPMAntShape
import LeafFormat
import LeafSystem
import Synchronization

/// Runs one conversion: a pipeline of pieces, written in order, and a thread that makes finished blocks durable.
struct ConversionRun {
    private let checkpoint: Checkpoint
    private let writer: LeafWriter
    private let options: ConversionOptions
    private let consumption: Consumption?
    private let sources: MatrixSources
    private let pipeline: EncodingPipeline
    private let totalBytes: Int

    /// Bytes for executable, libraries, stacks, the tokenizer's data and the tables of a large checkpoint.
    private static let programBytes = 64 << 20
    /// Addresses that the heap and other threads may take yet.
    private static let heapBytes = 8 << 20
    /// Addresses of a slot's thread.
    private static let stackBytes = 1 << 20
    /// The most memory to use if the user gives no limit.
    private static let usualBytes = 768 << 20
    /// With fewer slots, reading, encoding and writing do not overlap.
    private static let minimumSlots = 3
    private static let maximumSlots = 18
    /// Two slots being read, one being written, one waiting.
    private static let slotsBesideEncoding = 4

    init(
        _ checkpoint: Checkpoint, _ writer: LeafWriter, _ options: ConversionOptions, _ consumption: Consumption?,
        adapters: [AdapterFile], _ kernels: WeightKernels
    ) throws(LeafError) {
        self.checkpoint = checkpoint
        self.writer = writer
        self.options = options
        self.consumption = consumption
        sources = MatrixSources(checkpoint: checkpoint, adapters: adapters, kernels: kernels)
        let matrices = writer.layout.shape.matrices
        let pieces = matrices.map { matrix in
            let geometry = ChunkGeometry(matrix)
            return (
                rows: geometry.chunkOutputs, chunkBytes: geometry.bytes(outputs: geometry.chunkOutputs),
                bytes: geometry.chunkOutputs * Self.rowBytes(matrix, checkpoint)
            )
        }
        totalBytes = matrices.reduce(0) { $0 + $1.outputs * Self.rowBytes($1, checkpoint) }
        let sizes = EncodingPipeline.Sizes(
            pieceBytes: pieces.map(\.bytes).max()!, chunkBytes: pieces.map(\.chunkBytes).max()!,
            scaleBytes: pieces.map(\.rows).max()! * 4)

        // The widened soft-prompt table twice, the writer's buffers, and the program itself.
        let promptBytes = checkpoint.configuration.promptRows * checkpoint.configuration.dimModel
        let fixed =
            promptBytes * 8 + PackedChunk.roomBytes + Self.programBytes + Self.gatheredBytes(checkpoint)
            + Self.adapterBytes(adapters)
        let needed = fixed + Self.minimumSlots * sizes.slotBytes
        if let budget = options.memoryBudget, budget < needed {
            throw LeafError(
                .budget, "this conversion needs \(needed.sizeText), the budget is \(budget.sizeText)",
                advice: .memory(bytes: needed.roundedUp(to: 1 << 20)))
        }
        let addresses = fixed - Self.programBytes + Self.heapBytes
        let slotAddresses = sizes.slotBytes + Self.stackBytes
        try AddressLimit.check(addresses + Self.minimumSlots * slotAddresses, for: "this conversion")
        let room = max(0, (options.memoryBudget ?? Self.usualBytes) - fixed) / sizes.slotBytes
        let places = ((AddressLimit.room() ?? .max) - addresses) / slotAddresses
        let wanted = min(options.threads + Self.slotsBesideEncoding, Self.maximumSlots, room, places)
        pipeline = try EncodingPipeline(
            slots: max(Self.minimumSlots, wanted), threads: options.threads, sizes: sizes)
    }

    private static func rowBytes(_ matrix: FileShape.Matrix, _ checkpoint: Checkpoint) -> Int {
        matrix.columns * (checkpoint.matrices[matrix.name]?.rows.type.byteCount ?? 4)
    }

    /// Bytes of the largest tensor that is not row-major, which is read whole.
    private static func gatheredBytes(_ checkpoint: Checkpoint) -> Int {
        let gathered = checkpoint.matrices.values.map(\.rows).filter { $0.strides.last != 1 }
        return gathered.map { $0.shape.reduce($0.type.byteCount, *) }.max() ?? 0
    }

    /// Bytes of the largest factors held for one matrix while the next is opened, and as much for reading them.
    private static func adapterBytes(_ adapters: [AdapterFile]) -> Int {
        3 * adapters.reduce(0) { $0 + ($1.factors.map(\.byteCount).max() ?? 0) }
    }

    /// - Returns: the bytes of matrices that were read, and what is strange about them.
    func convert(
        isCancelled: () -> Bool, progress: (ConversionProgress) -> Void
    ) throws(LeafError) -> (bytesRead: Int, warnings: [String]) {
        try checkpoint.checkSharedStorages()
        try writeResidents()
        let shape = writer.layout.shape
        let first = writer.completedBlocks
        let resumed = shape.blocks[0..<first].flatMap(\.matrices).reduce(0) {
            $0 + $1.outputs * Self.rowBytes($1, checkpoint)
        }
        let commits = CommitQueue(
            writer.committer, consumption, batchBytes: consumption == nil ? options.commitBytes : 0)
        // Blocks written before an error need not be written again.
        defer { try? commits.finish() }
        try commits.consume(0..<first)
        var done = resumed
        var digest = try ChunkDigest()
        let pieces = ConversionPiece.all(shape, blocks: first..<shape.blocks.count)
        var sum = Checksum()
        var zeroRows = ZeroRows(uncounted: shape.blocks[0..<first].reduce(0) { $0 + $1.matrices.count })
        var lastBlock = first
        let packs = shape.blocks.indices.map(writer.packsChunks)
        try pipeline.run(pieces, of: sources, packs: packs) { (encoded) throws(LeafError) in
            let piece = encoded.piece
            if piece.block != lastBlock {
                try commits.commit(writer.closeBlock(sourceDigest: digest.value), block: lastBlock)
                digest = try ChunkDigest()
                lastBlock = piece.block
            }
            digest.update(encoded.source)
            zeroRows.add(encoded)
            if piece.isFirst {
                writer.beginMatrix()
                sum = Checksum()
            }
            if let part = encoded.checksum { sum.append(part, byteCount: encoded.source.count) }
            if piece.isLast, encoded.checksum != nil { try encoded.tensor.check(sum) }
            try writer.append(encoded.chunk)
            if piece.matrix.layout.scales == .resident {
                try writer.write(
                    FileShape.scaleName(of: piece.matrix.name), encoded.scales, at: piece.rows.lowerBound * 4)
            }
            done += encoded.source.count
            progress(
                ConversionProgress(
                    bytesDone: done, bytesTotal: totalBytes, blocksDone: piece.block,
                    blocksTotal: shape.blocks.count, bytesResumed: resumed))
            if isCancelled() {
                throw LeafError(
                    .cancelled, "the conversion was stopped; run the same command again, it goes on from here")
            }
        }
        if lastBlock < shape.blocks.count {
            try commits.commit(writer.closeBlock(sourceDigest: digest.value), block: lastBlock)
        }
        try commits.finish()
        return (done - resumed, zeroRows.warnings)
    }

    /// Writes norms, position bias, segment and soft-prompt tables.
    private func writeResidents() throws(LeafError) {
        for (name, tensor) in checkpoint.residents where name != TensorName.promptEmbedding {
            var floats = try RowReader(tensor).floats(sources.kernels)
            if name == TensorName.segmentEmbedding {
                let scale = checkpoint.configuration.fanInScale(columns: checkpoint.configuration.dimModel)
                for index in floats.indices { floats[index] = Float(Double(floats[index]) / scale.divisor) }
            }
            try floats.withUnsafeBufferPointer { (floats) throws(LeafError) in
                try writer.write(name, UnsafeRawBufferPointer(floats))
            }
        }
        let prompt = checkpoint.residents[TensorName.promptEmbedding]!
        let reader = try RowReader(prompt)
        let rows = try PageMemory(count: reader.rows * reader.rowBytes)
        try reader.read(rows: 0..<reader.rows, into: rows.bytes)
        let layout = options.weights.tableLayout
        let bytes = reader.rows * reader.columns * layout.elementType.byteCount
        let encoded = try PageMemory(count: bytes)
        let scales = try PageMemory(count: reader.rows * 4)
        try sources.encoder(for: .floats(prompt), columns: reader.columns, layout: layout).encode(
            rows.bytes.baseAddress!, firstRow: 0, rowCount: reader.rows, into: encoded.bytes.baseAddress!,
            scales: scales.bytes.assumingMemoryBound(to: Float.self).baseAddress!, isTiled: false)
        try writer.write(
            TensorName.promptEmbedding,
            UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(encoded.bytes)[0..<bytes]))
        if layout.scales == .resident {
            try writer.write(
                TensorName.promptScale,
                UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(scales.bytes)[0..<reader.rows * 4]))
        }
    }
}

/// The matrices of a checkpoint, and how they become chunks.
struct MatrixSources: Sendable {
    let checkpoint: Checkpoint
    /// Adapters to merge into them.
    let adapters: [AdapterFile]
    let kernels: WeightKernels

    func open(_ matrix: FileShape.Matrix) throws(LeafError) -> (RowReader, ChunkEncoder) {
        let source = checkpoint.matrices[matrix.name]!
        let scale = checkpoint.configuration.fanInScale(columns: matrix.columns)
        var additions: [LowRankAddition] = []
        for factors in adapters.flatMap(\.factors) where factors.matrix == matrix.name {
            additions.append(try LowRankAddition(factors, factor: scale.divisor, kernels))
        }
        return (
            try RowReader(source.rows),
            try encoder(for: source, columns: matrix.columns, layout: matrix.layout, additions: additions)
        )
    }

    func encoder(
        for source: Checkpoint.MatrixSource, columns: Int, layout: WeightLayout, additions: [LowRankAddition] = []
    ) throws(LeafError) -> ChunkEncoder {
        try ChunkEncoder(
            source, columns: columns, layout: layout,
            scale: checkpoint.configuration.fanInScale(columns: columns), additions: additions,
            kernels: kernels)
    }
}

/// Makes finished blocks durable on its own thread, a few at a time, and then frees what they were made from.
///
/// At most one batch of blocks is being committed while the next is written.
private final class CommitQueue {
    private let committer: BlockCommitter
    private let consumption: Consumption?
    private let batchBytes: Int
    private let thread = ThreadGroup()
    private let fault = Outcome()
    private var batch: [BlockCommitter.Block] = []
    private var blocks = 0..<0

    private final class Outcome: Sendable {
        let error = Mutex<LeafError?>(nil)
    }

    /// - Parameter batchBytes: the most that a crash may lose, besides the batch being committed.
    init(_ committer: BlockCommitter, _ consumption: Consumption?, batchBytes: Int) {
        self.committer = committer
        self.consumption = consumption
        self.batchBytes = batchBytes
    }

    /// - Throws: an error from an earlier block.
    func commit(_ closed: BlockCommitter.Block, block: Int) throws(LeafError) {
        blocks = (batch.isEmpty ? block : blocks.lowerBound)..<block + 1
        batch.append(closed)
        if batch.reduce(0, { $0 + $1.byteCount }) >= batchBytes { try begin() }
    }

    /// Commits the remaining blocks, and waits.
    func finish() throws(LeafError) {
        try begin()
        try wait()
    }

    private func wait() throws(LeafError) {
        thread.wait()
        if let error = fault.error.withLock({ $0 }) { throw error }
    }

    private func begin() throws(LeafError) {
        try wait()
        guard !batch.isEmpty else { return }
        try thread.start { [committer, consumption, fault, batch, blocks] in
            do throws(LeafError) {
                try committer.commit(batch)
                try Self.consume(blocks, consumption, committer)
            } catch {
                fault.error.withLock { $0 = error }
            }
        }
        batch = []
    }

    /// Deletes what committed blocks were made from, if the user asked for that.
    func consume(_ blocks: Range<Int>) throws(LeafError) { try Self.consume(blocks, consumption, committer) }

    private static func consume(
        _ blocks: Range<Int>, _ consumption: Consumption?, _ committer: BlockCommitter
    ) throws(LeafError) {
        guard let consumption, !blocks.isEmpty else { return }
        try committer.noteConsumption()
        try consumption.begin()
        for block in blocks { try consumption.free(block: block) }
    }
}
