package import LeafFormat
package import LeafSystem

/// Some stored outputs of a matrix that are to be made.
package struct ChunkJob: Sendable {
    /// Index into the model's matrices.
    package let matrix: Int
    package let rows: Range<Int>
    package let byteCount: Int
    package let isLastOfBlock: Bool

    /// The chunks of each block, in the order of the file.
    package static func all(_ shape: FileShape) -> [[ChunkJob]] {
        var matrix = 0
        return shape.blocks.map { block in
            var jobs: [ChunkJob] = []
            for shape in block.matrices {
                let geometry = ChunkGeometry(shape)
                for chunk in 0..<geometry.chunkCount {
                    let rows = geometry.outputs(ofChunk: chunk)
                    jobs.append(
                        ChunkJob(
                            matrix: matrix, rows: rows, byteCount: geometry.bytes(outputs: rows.count),
                            isLastOfBlock: chunk == geometry.chunkCount - 1 && shape == block.matrices.last))
                }
                matrix += 1
            }
            return jobs
        }
    }
}

/// The memory for one job: its outputs, a scale for each of them, and what making them takes.
package struct ChunkSlot: @unchecked Sendable {
    package let bytes: PageMemory
    package let scales: PageMemory
    package let scratch: PageMemory

    /// - Parameters:
    ///   - rows: the most outputs of a job.
    ///   - scratchBytes: what making them takes besides.
    package init(rows: Int, scratchBytes: Int) throws(LeafError) {
        bytes = try PageMemory(count: ChunkGeometry.maximumBytes)
        scales = try PageMemory(count: rows * MemoryLayout<Float>.size)
        scratch = try PageMemory(count: scratchBytes)
    }

    /// Bytes of all three.
    package static func byteCount(rows: Int, scratchBytes: Int) -> Int {
        ChunkGeometry.maximumBytes + (rows * MemoryLayout<Float>.size).roundedUp(to: PageMemory.pageBytes)
            + scratchBytes.roundedUp(to: PageMemory.pageBytes)
    }

    package var rowScales: UnsafeMutableBufferPointer<Float> { scales.bytes.assumingMemoryBound(to: Float.self) }
}
