import CPMAntShape
import LeafFormat
import LeafSystem

/// The model whose numbers a large one takes. Nothing of it stays in memory.
struct SmallModel: Sendable {
    let file: CPMAntFile
    private let input: InputFile

    /// - Throws: `.io` and `.badInput` if it cannot be read, or if bytes outside of its chunks are damaged.
    init(path: String) throws(LeafError) {
        file = try CPMAntFile.open(path: path)
        input = try InputFile(path: path)
        for region in file.leaf.regions { try file.leaf.verify(region, in: input) }
    }

    /// The digest of the header, which contains every other digest and so identifies the file.
    var digest: String { file.leaf.digest }

    /// A tensor outside of the chunks, as it is stored.
    func bytes(of name: String) throws(LeafError) -> [UInt8] {
        guard let tensor = file.leaf.tensor(name) else {
            throw LeafError(.badInput, "\(file.path) has no tensor \(name)")
        }
        return try input.bytes(at: tensor.offset, count: tensor.byteCount)
    }

    func floats(of name: String) throws(LeafError) -> [Float] {
        try bytes(of: name).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }

    /// Calls `use` with each tile of a matrix that begins in `outputs`: its first output, and its bytes.
    func forEachTile(
        ofMatrix index: Int, outputs: Range<Int>, _ use: (Int, UnsafeRawBufferPointer) -> Void
    ) throws(LeafError) {
        let leaf = file.leaf
        let matrix = leaf.matrices[index]
        let tileBytes = matrix.layout.byteCount(outputs: WeightTile.outputs, columns: matrix.columns)
        for number in matrix.chunks {
            let chunk = leaf.chunks[number]
            let wanted = outputs.clamped(to: chunk.firstOutput..<chunk.firstOutput + chunk.outputCount)
            if wanted.isEmpty { continue }
            let slot = try PageMemory(count: chunk.slotBytes)
            try input.read(
                at: chunk.offset,
                into: UnsafeMutableRawBufferPointer(rebasing: slot.bytes[chunk.storedAt..<chunk.slotBytes]))
            let bytes = try leaf.verifyAndUnpack(number, in: slot.bytes)
            for output in stride(from: wanted.lowerBound, to: wanted.upperBound, by: WeightTile.outputs) {
                let tile = (output - chunk.firstOutput) / WeightTile.outputs
                use(output, UnsafeRawBufferPointer(rebasing: bytes[tile * tileBytes..<(tile + 1) * tileBytes]))
            }
        }
    }
}
