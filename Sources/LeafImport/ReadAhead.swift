import Dispatch
import LeafFormat
import Synchronization

/// Reads pieces of a checkpoint one ahead of their use, so that the disk and the processor work at the same time.
///
/// A piece is some rows of a matrix. They are read on a queue, in order, into two buffers in turn.
struct ReadAhead {
    struct Piece {
        let reader: RowReader
        let rows: Range<Int>
        var byteCount: Int { rows.count * reader.rowBytes }
    }

    private let buffers: [AlignedBuffer]

    /// - Parameter pieceBytes: of the largest piece.
    init(pieceBytes: Int) throws(LeafError) {
        buffers = [try AlignedBuffer(count: pieceBytes), try AlignedBuffer(count: pieceBytes)]
    }

    /// Calls `use` with each piece and its bytes, in order, on the calling thread.
    ///
    /// - Throws: the first error of a read or of `use`; then no read is under way any more.
    func run(
        _ pieces: [Piece], _ use: (Piece, UnsafeRawBufferPointer) throws(LeafError) -> Void
    ) throws(LeafError) {
        let stream = Stream(pieces: pieces, buffers: buffers)
        let queue = DispatchQueue(label: "leafcutter.import.read", qos: .userInitiated)
        queue.async { stream.readAll() }
        defer {
            stream.stop()
            queue.sync {}
        }
        for index in pieces.indices {
            let bytes = try stream.wait(for: index)
            try use(pieces[index], bytes)
            stream.release()
        }
    }

    /// What the two threads share. A buffer is written by the queue between `empty` and `full`, and read by the user
    /// between `full` and `empty`; a `RowReader` is used by the queue alone while the stream runs.
    private final class Stream: @unchecked Sendable {
        private let pieces: [Piece]
        private let buffers: [AlignedBuffer]
        private let empty = DispatchSemaphore(value: 0)
        private let full = DispatchSemaphore(value: 0)
        private let isStopped = Atomic<Bool>(false)
        private let fault = Mutex<LeafError?>(nil)

        init(pieces: [Piece], buffers: [AlignedBuffer]) {
            self.pieces = pieces
            self.buffers = buffers
            for _ in buffers { empty.signal() }
        }

        func readAll() {
            for (index, piece) in pieces.enumerated() {
                empty.wait()
                guard !isStopped.load(ordering: .acquiring) else { return }
                do throws(LeafError) {
                    try piece.reader.read(rows: piece.rows, into: buffers[index % buffers.count].bytes)
                } catch {
                    fault.withLock { $0 = error }
                    full.signal()
                    return
                }
                full.signal()
            }
        }

        func wait(for index: Int) throws(LeafError) -> UnsafeRawBufferPointer {
            full.wait()
            if let error = fault.withLock({ $0 }) { throw error }
            return UnsafeRawBufferPointer(
                rebasing: UnsafeRawBufferPointer(buffers[index % buffers.count].bytes)[0..<pieces[index].byteCount])
        }

        func release() { empty.signal() }

        func stop() {
            isStopped.store(true, ordering: .releasing)
            empty.signal()
        }
    }
}
