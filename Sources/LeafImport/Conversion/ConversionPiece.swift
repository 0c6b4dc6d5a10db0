import LeafFormat

/// Some outputs of a matrix that become one chunk.
struct ConversionPiece {
    /// Index into the shape's blocks.
    let block: Int
    let matrix: FileShape.Matrix
    /// Outputs in the source; the chunk may have padding after them.
    let rows: Range<Int>
    /// Whether it is the first piece of its matrix.
    let isFirst: Bool
    /// Whether it is the last piece of its matrix.
    let isLast: Bool

    /// The pieces of these blocks, in the order of the file.
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
    /// The bytes of the checkpoint.
    let source: UnsafeRawBufferPointer
    /// The checksum of `source`, if the checksum of all pieces together is known.
    let checksum: Checksum?
    /// How many of its rows are zeros alone.
    let zeroRows: Int
    let chunk: PackedChunk
    /// The float32 scale of each stored output, for int8.
    let scales: UnsafeRawBufferPointer
}
