import Dispatch
import LeafConversion
import LeafFormat
import LeafSystem

/// Reads and encodes the pieces of a checkpoint ahead of their use, so that disk and processors work at the same time.
///
/// Each slot has a thread. Reads begin in the order of the pieces; a matrix that has to be read whole keeps the others
/// waiting, so that only one is held. Encoding happens in several slots at once.
struct EncodingPipeline {
    struct Sizes {
        let pieceBytes: Int
        let chunkBytes: Int
        let scaleBytes: Int

        /// Bytes of the buffers of one slot.
        var slotBytes: Int {
            pieceBytes + RowReader.pageRoom + chunkBytes + PackedChunk.roomBytes + scaleBytes + 4096
        }
    }

    private let slots: [Slot]
    private let threads: Int

    /// - Parameters:
    ///   - slots: with 3, reading, encoding and writing overlap.
    ///   - threads: the number of threads that encode at the same time.
    init(slots: Int, threads: Int, sizes: Sizes) throws(LeafError) {
        var made: [Slot] = []
        for _ in 0..<slots { made.append(try Slot(sizes)) }
        self.slots = made
        self.threads = threads
    }

    /// Calls `use` with each piece, in order, on the calling thread.
    ///
    /// - Parameters:
    ///   - packs: whether to pack the chunks of a block if that saves space.
    /// - Throws: the first error of reading, encoding or `use`, in the order of the pieces. All threads have stopped
    ///   then.
    func run(
        _ pieces: [ConversionPiece], of sources: MatrixSources, packs: [Bool],
        _ use: (EncodedPiece) throws(LeafError) -> Void
    ) throws(LeafError) {
        let work = Work(pieces: pieces, sources: sources, packs: packs, turns: slots.count, encoders: threads)
        try OrderedPipeline(slots: slots, threads: slots.count).run(
            pieces.count, make: { (index, slot) throws(LeafError) in try work.encode(index, in: slot) },
            use: { (_, piece) throws(LeafError) in try use(piece) })
    }

    /// Buffers of a piece.
    private struct Slot: Sendable {
        let rows: PageMemory
        let chunk: PageMemory
        let room: PageMemory
        let scales: PageMemory

        init(_ sizes: Sizes) throws(LeafError) {
            rows = try PageMemory(count: sizes.pieceBytes + RowReader.pageRoom)
            chunk = try PageMemory(count: sizes.chunkBytes)
            room = try PageMemory(count: PackedChunk.roomBytes)
            scales = try PageMemory(count: sizes.scaleBytes)
        }
    }

    /// State that the threads share. `source` belongs to the thread whose turn it is.
    private final class Work: @unchecked Sendable {
        private let pieces: [ConversionPiece]
        private let sources: MatrixSources
        private let packs: [Bool]
        /// Of piece `i` the one at `i % turns.count`; so many pieces at most are under way.
        private let turns: [DispatchSemaphore]
        private let encoders = DispatchSemaphore(value: 0)
        private var source: (RowReader, ChunkEncoder)?

        init(pieces: [ConversionPiece], sources: MatrixSources, packs: [Bool], turns: Int, encoders: Int) {
            self.pieces = pieces
            self.sources = sources
            self.packs = packs
            self.turns = (0..<turns).map { _ in DispatchSemaphore(value: 0) }
            for _ in 0..<encoders { self.encoders.signal() }
            self.turns[0].signal()
        }

        func encode(_ index: Int, in slot: Slot) throws(LeafError) -> EncodedPiece {
            let piece = pieces[index]
            let (tensor, rows, encoder) = try read(index, in: slot)
            encoders.wait()
            defer { encoders.signal() }
            let geometry = ChunkGeometry(piece.matrix)
            let storedRows = geometry.layout.storedOutputs(piece.rows.count)
            let bytes = slot.chunk.bytes[0..<geometry.bytes(outputs: storedRows)]
            let chunk = UnsafeMutableRawBufferPointer(rebasing: bytes)
            // Padded outputs and columns are zeros.
            if storedRows > piece.rows.count { chunk.initializeMemory(as: UInt8.self, repeating: 0) }
            let scales = slot.scales.bytes.assumingMemoryBound(to: Float.self)
            scales[piece.rows.count..<storedRows].update(repeating: 0)
            let zeroRows = try encoder.encode(
                rows.baseAddress!, firstRow: piece.rows.lowerBound, rowCount: piece.rows.count,
                into: chunk.baseAddress!, scales: scales.baseAddress!)
            return EncodedPiece(
                piece: piece, tensor: tensor, source: rows,
                checksum: tensor.storage.checksum != nil && tensor.fillsStorage ? Checksum(rows) : nil,
                zeroRows: zeroRows,
                chunk: PackedChunk(
                    UnsafeRawBufferPointer(chunk), outputCount: storedRows, packs: packs[piece.block],
                    room: slot.room.bytes),
                scales: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(slot.scales.bytes)[0..<storedRows * 4]))
        }

        private func read(
            _ index: Int, in slot: Slot
        ) throws(LeafError) -> (SourceTensor, UnsafeRawBufferPointer, ChunkEncoder) {
            let (reader, encoder, rows) = try takeTurn(index, in: slot)
            if let rows { return (reader.tensor, rows, encoder) }
            return (reader.tensor, try reader.readPages(rows: pieces[index].rows, into: slot.rows.bytes), encoder)
        }

        /// Waits for the turn of a piece, opens the matrix if need be and passes the turn on.
        ///
        /// - Returns: the rows too, if they had to be read during the turn.
        private func takeTurn(
            _ index: Int, in slot: Slot
        ) throws(LeafError) -> (RowReader, ChunkEncoder, UnsafeRawBufferPointer?) {
            turns[index % turns.count].wait()
            defer { turns[(index + 1) % turns.count].signal() }
            let piece = pieces[index]
            if piece.isFirst || source == nil { source = try sources.open(piece.matrix) }
            let (reader, encoder) = source!
            if piece.isLast { source = nil }
            let rows = reader.isRowMajor ? nil : try reader.readPages(rows: piece.rows, into: slot.rows.bytes)
            return (reader, encoder, rows)
        }
    }
}
