import CLeafKernels
package import LeafSystem
import Synchronization

/// The products X^T X of a model's inputs over a text, and then what an encoder makes of them. They lie in a file
/// without a name, so that they take no memory.
///
/// Only columns of the same block of 256 are multiplied with each other: with all of them a model of 10 billion
/// parameters would need 30 GB. Matrices that read the same rows share one group, which the first of them stands for.
package final class InputProducts: Sendable {
    /// Columns of a block.
    package static let columns = LEAF_FEEDBACK_COLUMNS
    package static let blockBytes = LEAF_PRODUCTS_COUNT * MemoryLayout<Float>.size

    private let output: OutputFile
    private let input: InputFile
    /// Where the blocks of each matrix lie; the file has holes where a matrix reads what another one does.
    private let offsets: [Int]
    private let blockCounts: [Int]
    /// For each matrix the first that reads the same rows; nil for those that no row was seen of.
    private let groups: Mutex<[Int?]>

    /// - Parameters:
    ///   - columns: of each matrix.
    ///   - path: of the file that is being made; its folder needs room, 600 MB for a model of 10 billion parameters.
    package init(columns: [Int], beside path: String) throws(LeafError) {
        blockCounts = columns.map { $0.units(of: Self.columns) }
        var end = 0
        offsets = blockCounts.map { count in
            defer { end += count * Self.blockBytes }
            return end
        }
        let path = OutputTarget.Companion.products.path(of: try OutputTarget.file(path, for: "a model file"))
        (output, input) = try OutputFile.nameless(path, count: end)
        groups = Mutex(Array(repeating: nil, count: columns.count))
    }

    /// Blocks of a matrix's columns.
    package func blockCount(ofMatrix matrix: Int) -> Int { blockCounts[matrix] }

    /// Notes that these matrices read the same rows.
    package func join(_ matrices: Range<Int>) {
        groups.withLock { groups in
            for matrix in matrices { groups[matrix] = matrices.lowerBound }
        }
    }

    /// Adds rows to a block of the group that begins with `matrix`; each block on one thread at a time.
    ///
    /// - Parameters:
    ///   - rows: the first of the block's columns.
    ///   - columns: of the block, padded with zeros to a multiple of 16.
    ///   - buffer: `blockBytes`.
    package func add(
        _ rows: UnsafePointer<Float>, stride: Int, count: Int, columns: Int, toBlock block: Int, ofMatrix matrix: Int,
        _ codec: TileCodec, through buffer: UnsafeMutableRawBufferPointer
    ) throws(LeafError) {
        let offset = offsets[matrix] + block * Self.blockBytes
        try input.read(at: offset, into: buffer)
        codec.addProducts(
            rows, stride: stride, count: count, columns: columns, to: buffer.baseAddress!.bound(to: Float.self))
        try output.write(UnsafeRawBufferPointer(buffer), at: offset)
    }

    /// Makes of all products what an encoder needs. Nothing can be added afterwards.
    ///
    /// - Throws: `.badInput` for inputs that are no finite numbers.
    package func finish() throws(LeafError) {
        let memory = try PageMemory(count: Self.blockBytes)
        let buffer = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[..<Self.blockBytes])
        let groups = groups.withLock { $0 }
        for matrix in groups.indices where groups[matrix] == matrix {
            for block in 0..<blockCounts[matrix] {
                let offset = offsets[matrix] + block * Self.blockBytes
                try input.read(at: offset, into: buffer)
                guard leaf_feedback(buffer.baseAddress!.bound(to: Float.self), Self.columns) != 0 else {
                    throw LeafError(
                        .badInput, "the model's numbers for this text are not finite; calibrate with another text")
                }
                try output.write(UnsafeRawBufferPointer(buffer), at: offset)
            }
        }
    }

    /// Reads what `finish` made for all blocks of a matrix's columns.
    ///
    /// - Parameter target: `blockBytes` for each block.
    /// - Returns: whether there is any.
    package func read(ofMatrix matrix: Int, into target: UnsafeMutableRawBufferPointer) throws(LeafError) -> Bool {
        guard let group = groups.withLock({ $0[matrix] }) else { return false }
        try input.read(
            at: offsets[group],
            into: UnsafeMutableRawBufferPointer(rebasing: target[..<(blockCounts[group] * Self.blockBytes)]))
        return true
    }
}

extension UnsafeMutableRawPointer {
    fileprivate func bound<Number>(to type: Number.Type) -> UnsafeMutablePointer<Number> {
        assumingMemoryBound(to: type)
    }
}
