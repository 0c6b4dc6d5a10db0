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
    let bytes: PageMemory
    let scales: PageMemory

    /// - Parameter rows: the most outputs of a job.
    init(rows: Int) throws(LeafError) {
        bytes = try PageMemory(count: ChunkGeometry.maximumBytes)
        scales = try PageMemory(count: rows * MemoryLayout<Float>.size)
    }

    var rowScales: UnsafeMutableBufferPointer<Float> { scales.bytes.assumingMemoryBound(to: Float.self) }
}
