import LeafFormat

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
