import CPMAntShape
import Dispatch
import LeafFormat
import Synchronization

/// Some rows of a matrix that become one chunk.
struct ConversionPiece {
    /// Index into the shape's blocks.
    let block: Int
    let matrix: FileShape.Matrix
    /// Of the source; the chunk may have rows of padding beyond them.
    let rows: Range<Int>
    /// Whether it is the first, or the last, of its matrix.
    let isFirst: Bool
    let isLast: Bool

    /// The pieces of blocks, in the order of the file.
    static func all(_ shape: FileShape, blocks: Range<Int>) -> [ConversionPiece] {
        blocks.flatMap { block in
            shape.blocks[block].matrices.flatMap { matrix in
                let geometry = ChunkGeometry(matrix)
                return (0..<geometry.chunkCount).map { index in
                    ConversionPiece(
                        block: block, matrix: matrix,
                        rows: geometry.outputs(ofChunk: index).clamped(to: 0..<matrix.outputs), isFirst: index == 0,
                        isLast: index == geometry.chunkCount - 1)
                }
            }
        }
    }
}

/// A piece that was read and encoded.
struct EncodedPiece {
    let piece: ConversionPiece
    let tensor: SourceTensor
    /// As they are in the checkpoint.
    let source: UnsafeRawBufferPointer
    /// Of `source`, where the sum of all the pieces is known.
    let checksum: Checksum?
    let chunk: PackedChunk
    /// A float32 each stored row, for int8.
    let scales: UnsafeRawBufferPointer
}

/// Reads and encodes the pieces of a checkpoint ahead of their use, so that disk and processors work at the same time.
///
/// There are a few slots, each with buffers and a thread of its own; piece `i` goes through slot `i % slots`. Reads begin in the
/// order of the pieces; a matrix that has to be read whole keeps the others waiting, so that only one is held. Encoding
/// happens in several slots at once.
struct ChunkPipeline {
    struct Sizes {
        let pieceBytes: Int
        let chunkBytes: Int
        let scaleBytes: Int

        /// Of the buffers of one slot.
        var slotBytes: Int {
            pieceBytes + RowReader.pageRoom + chunkBytes + PackedChunk.roomBytes + scaleBytes + 4096
        }
    }

    private let slots: [Slot]
    private let threads: Int

    /// - Parameters:
    ///   - slots: 3 let reading, encoding and writing overlap.
    ///   - threads: that encode at the same time.
    init(slots: Int, threads: Int, sizes: Sizes) throws(LeafError) {
        var made: [Slot] = []
        for _ in 0..<slots { made.append(try Slot(sizes)) }
        self.slots = made
        self.threads = threads
    }

    /// Calls `use` with each piece, in order, on the calling thread.
    ///
    /// - Parameters:
    ///   - packs: whether chunks of a block are to be packed if that pays.
    /// - Throws: the first error, in the order of the pieces, of reading, encoding or `use`. Nothing runs any more then.
    func run(
        _ pieces: [ConversionPiece], of sources: MatrixSources, packs: [Bool],
        _ use: (EncodedPiece) throws(LeafError) -> Void
    ) throws(LeafError) {
        let stream = Stream(pieces: pieces, sources: sources, packs: packs, slots: slots, threads: threads)
        // Every serial queue has a thread of its own.
        let queues = slots.indices.map { DispatchQueue(label: "leafcutter.import.\($0)", qos: .userInitiated) }
        for (slot, queue) in queues.enumerated() { queue.async { stream.fill(slot) } }
        defer {
            stream.stop()
            for queue in queues { queue.sync {} }
        }
        for index in pieces.indices {
            try use(stream.wait(for: index))
            stream.release(index)
        }
    }

    /// Buffers, and what lies in them. Its thread writes it between `empty` and `full`, the user reads it between `full` and
    /// `empty`.
    private final class Slot: @unchecked Sendable {
        let rows: AlignedBuffer
        let chunk: AlignedBuffer
        let room: AlignedBuffer
        let scales: AlignedBuffer
        var result: Result<EncodedPiece, LeafError>?

        init(_ sizes: Sizes) throws(LeafError) {
            rows = try AlignedBuffer(count: sizes.pieceBytes + RowReader.pageRoom)
            chunk = try AlignedBuffer(count: sizes.chunkBytes)
            room = try AlignedBuffer(count: PackedChunk.roomBytes)
            scales = try AlignedBuffer(count: sizes.scaleBytes)
        }
    }

    /// What the threads share. `source` belongs to the thread whose turn it is.
    private final class Stream: @unchecked Sendable {
        private let pieces: [ConversionPiece]
        private let sources: MatrixSources
        private let packs: [Bool]
        private let slots: [Slot]
        private let empty: [DispatchSemaphore]
        private let full: [DispatchSemaphore]
        private let turns: [DispatchSemaphore]
        private let encoders = DispatchSemaphore(value: 0)
        private let isStopped = Atomic<Bool>(false)
        private var source: (RowReader, ChunkEncoder)?

        init(
            pieces: [ConversionPiece], sources: MatrixSources, packs: [Bool], slots: [Slot], threads: Int
        ) {
            self.pieces = pieces
            self.sources = sources
            self.packs = packs
            self.slots = slots
            empty = slots.map { _ in DispatchSemaphore(value: 0) }
            full = slots.map { _ in DispatchSemaphore(value: 0) }
            turns = slots.map { _ in DispatchSemaphore(value: 0) }
            for semaphore in empty { semaphore.signal() }
            for _ in 0..<threads { encoders.signal() }
            turns[0].signal()
        }

        /// Runs on the slot's thread until all its pieces are done, one fails or the stream is stopped.
        func fill(_ number: Int) {
            let slot = slots[number]
            for index in stride(from: number, to: pieces.count, by: slots.count) {
                empty[number].wait()
                guard !isStopped.load(ordering: .acquiring) else { return }
                do throws(LeafError) {
                    slot.result = .success(try encode(pieces[index], in: slot, number))
                } catch {
                    slot.result = .failure(error)
                }
                full[number].signal()
            }
        }

        private func encode(
            _ piece: ConversionPiece, in slot: Slot, _ number: Int
        ) throws(LeafError) -> EncodedPiece {
            let (tensor, rows, encoder) = try read(piece, in: slot, number)
            encoders.wait()
            defer { encoders.signal() }
            let geometry = ChunkGeometry(piece.matrix)
            let storedRows = geometry.layout.storedOutputs(piece.rows.count)
            let bytes = slot.chunk.bytes[0..<geometry.bytes(outputs: storedRows)]
            let chunk = UnsafeMutableRawBufferPointer(rebasing: bytes)
            // Rows and columns of padding are zeros.
            if storedRows > piece.rows.count { chunk.initializeMemory(as: UInt8.self, repeating: 0) }
            let scales = slot.scales.bytes.assumingMemoryBound(to: Float.self)
            scales[piece.rows.count..<storedRows].update(repeating: 0)
            try encoder.encode(
                rows.baseAddress!, firstRow: piece.rows.lowerBound, rowCount: piece.rows.count,
                into: chunk.baseAddress!, scales: scales.baseAddress!)
            return EncodedPiece(
                piece: piece, tensor: tensor, source: rows,
                checksum: tensor.storage.checksum != nil && tensor.fillsStorage ? Checksum(rows) : nil,
                chunk: PackedChunk(
                    UnsafeRawBufferPointer(chunk), outputCount: storedRows, packs: packs[piece.block],
                    room: slot.room.bytes),
                scales: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(slot.scales.bytes)[0..<storedRows * 4]))
        }

        private func read(
            _ piece: ConversionPiece, in slot: Slot, _ number: Int
        ) throws(LeafError) -> (SourceTensor, UnsafeRawBufferPointer, ChunkEncoder) {
            let (reader, encoder, rows) = try takeTurn(piece, in: slot, number)
            if let rows { return (reader.tensor, rows, encoder) }
            return (reader.tensor, try reader.readPages(rows: piece.rows, into: slot.rows.bytes), encoder)
        }

        /// Waits for its turn, opens the matrix if need be and passes the turn on.
        ///
        /// - Returns: the rows too, where they had to be read meanwhile.
        private func takeTurn(
            _ piece: ConversionPiece, in slot: Slot, _ number: Int
        ) throws(LeafError) -> (RowReader, ChunkEncoder, UnsafeRawBufferPointer?) {
            turns[number].wait()
            defer { turns[(number + 1) % turns.count].signal() }
            guard !isStopped.load(ordering: .acquiring) else {
                throw LeafError(.cancelled, "the conversion was stopped")
            }
            if piece.isFirst || source == nil { source = try sources.open(piece.matrix) }
            let (reader, encoder) = source!
            if piece.isLast { source = nil }
            let rows = reader.isRowMajor ? nil : try reader.readPages(rows: piece.rows, into: slot.rows.bytes)
            return (reader, encoder, rows)
        }

        func wait(for index: Int) throws(LeafError) -> EncodedPiece {
            full[index % slots.count].wait()
            return try slots[index % slots.count].result!.get()
        }

        func release(_ index: Int) { empty[index % slots.count].signal() }

        func stop() {
            isStopped.store(true, ordering: .releasing)
            for number in slots.indices {
                empty[number].signal()
                turns[number].signal()
            }
        }
    }
}
