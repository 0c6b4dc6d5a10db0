/// How the outputs of one matrix are cut into chunks.
package struct ChunkGeometry: Sendable, Equatable {
    /// The largest chunk that a reader accepts, in bytes unpacked.
    package static let maximumBytes = 4 << 20
    /// What the writer cuts to, at most: a huge page. Several of them stay in the processor's caches while they are
    /// read, computed with, and filled again.
    package static let usualBytes = 2 << 20
    /// Chunks, regions and the data begin at multiples of this.
    package static let alignment = 4096

    package let layout: WeightLayout
    package let columns: Int
    /// All outputs, those of padding included.
    package let storedOutputs: Int
    /// Outputs of every chunk but the last.
    package let chunkOutputs: Int
    /// Whether raw chunks follow each other without gaps, so that the matrix is one tensor.
    package let isSeamless: Bool

    /// - Parameter matrix: within the limits of a configuration.
    package init(_ matrix: FileShape.Matrix) {
        self.init(outputs: matrix.outputs, columns: matrix.columns, layout: matrix.layout)
    }

    package init(outputs: Int, columns: Int, layout: WeightLayout) {
        self.layout = layout
        self.columns = columns
        storedOutputs = layout.storedOutputs(outputs)
        let unitBytes = layout.byteCount(outputs: layout.unitOutputs, columns: columns)
        let units = storedOutputs / layout.unitOutputs
        let most = Self.usualBytes / unitBytes
        // The number of units that end at a multiple of 4096: 4096 / gcd(4096, unitBytes), a power of two.
        let step = Self.alignment >> min(unitBytes.trailingZeroBitCount, Self.alignment.trailingZeroBitCount)
        if units <= most {
            chunkOutputs = storedOutputs
            isSeamless = true
        } else {
            isSeamless = most >= step
            chunkOutputs = (isSeamless ? most / step * step : most) * layout.unitOutputs
        }
    }

    package var chunkCount: Int { (storedOutputs + chunkOutputs - 1) / chunkOutputs }

    package func outputs(ofChunk index: Int) -> Range<Int> {
        index * chunkOutputs..<min((index + 1) * chunkOutputs, storedOutputs)
    }

    package func bytes(outputs: Int) -> Int { layout.byteCount(outputs: outputs, columns: columns) }

    /// The tensor shape of that many stored outputs.
    package func shape(outputs: Int) -> [Int] { layout.shape(outputs: outputs, columns: columns) }
}
