package import LeafFormat
package import LeafSystem

/// A model file whose numbers another one takes. Nothing of it stays in memory.
package struct StoredModel: Sendable {
    package let leaf: LeafFile
    /// Bytes of a slot for any chunk.
    package let slotBytes: Int
    private let input: InputFile

    /// - Throws: `.io` and `.badInput` if it cannot be read, or if bytes outside of its chunks are damaged.
    package init(_ leaf: LeafFile) throws(LeafError) {
        self.leaf = leaf
        slotBytes = leaf.chunks.map(\.slotBytes).max() ?? 0
        input = try InputFile(path: leaf.path)
        for region in leaf.regions { try leaf.verify(region, in: input) }
    }

    /// A tensor outside of the chunks, as it is stored.
    package func bytes(of name: String) throws(LeafError) -> [UInt8] {
        guard let tensor = leaf.tensor(name) else {
            throw LeafError(.badInput, "\(leaf.path) has no tensor \(name)")
        }
        return try input.bytes(at: tensor.offset, count: tensor.byteCount)
    }

    /// The same as float32 numbers.
    package func floats(of name: String) throws(LeafError) -> [Float] {
        try bytes(of: name).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }

    /// The units of a chunk, one behind the other.
    ///
    /// - Parameter slot: room for it, in whole pages.
    /// - Throws: `.badInput` naming the block whose digest is wrong, `.io` if reading fails.
    package func bytes(
        ofChunk number: Int, slot: UnsafeMutableRawBufferPointer
    ) throws(LeafError) -> UnsafeRawBufferPointer {
        let chunk = leaf.chunks[number]
        try input.read(
            at: chunk.offset, into: UnsafeMutableRawBufferPointer(rebasing: slot[chunk.storedAt..<chunk.slotBytes]))
        return try leaf.verifyAndUnpack(number, in: slot)
    }

    /// Calls `use` with each unit of a matrix (a tile, or an output of float numbers) that begins in `outputs`: its
    /// first output, and its bytes.
    ///
    /// - Parameter slot: room for a chunk, in whole pages.
    package func forEachUnit(
        ofMatrix index: Int, outputs: Range<Int>, slot: UnsafeMutableRawBufferPointer,
        _ use: (Int, UnsafeRawBufferPointer) throws(LeafError) -> Void
    ) throws(LeafError) {
        let matrix = leaf.matrices[index]
        let unit = matrix.layout.unitOutputs
        let unitBytes = matrix.layout.byteCount(outputs: unit, columns: matrix.columns)
        for number in matrix.chunks {
            let chunk = leaf.chunks[number]
            let wanted = outputs.clamped(to: chunk.firstOutput..<chunk.firstOutput + chunk.outputCount)
            if wanted.isEmpty { continue }
            let bytes = try self.bytes(ofChunk: number, slot: slot)
            for output in stride(from: wanted.lowerBound, to: wanted.upperBound, by: unit) {
                let start = (output - chunk.firstOutput) / unit * unitBytes
                try use(output, UnsafeRawBufferPointer(rebasing: bytes[start..<start + unitBytes]))
            }
        }
    }
}
