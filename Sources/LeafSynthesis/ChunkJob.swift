import LeafFormat
import LeafSystem

/// Some stored rows of a matrix that are to be made.
struct ChunkJob: Sendable {
    /// Index into the model's matrices.
    let matrix: Int
    let rows: Range<Int>
    let byteCount: Int
    let isLastOfBlock: Bool
}

/// The memory for one job: its outputs, and a scale for each of them.
struct ChunkSlot: @unchecked Sendable {
    let bytes: AlignedBuffer
    let scales: AlignedBuffer

    /// - Parameter rows: the most outputs of a job.
    init(rows: Int) throws(LeafError) {
        bytes = try AlignedBuffer(count: ChunkGeometry.maximumBytes)
        scales = try AlignedBuffer(count: rows * MemoryLayout<Float>.size)
    }

    var rowScales: UnsafeMutableBufferPointer<Float> { scales.bytes.assumingMemoryBound(to: Float.self) }
}
