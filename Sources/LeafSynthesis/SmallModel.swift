import LeafFormat

/// The model whose numbers a large one takes over. Nothing of it is kept in memory.
struct SmallModel: Sendable {
    let file: LeafFile
    private let input: InputFile

    /// - Throws: `.io` and `.badInput` when it cannot be read, or what lies outside its chunks is damaged.
    init(path: String) throws(LeafError) {
        file = try LeafFile.open(path: path)
        input = try InputFile(path: path)
        for region in file.regions { try file.verify(region, in: input) }
    }

    /// Names this file among all others: the digest of the header, which holds every other digest.
    var digest: String { file.metadata[LeafMetadata.Key.digest] ?? "" }

    /// A tensor outside the chunks, as it is stored.
    func bytes(of name: String) throws(LeafError) -> [UInt8] {
        guard let tensor = file.tensor(name) else { throw LeafError(.badInput, "\(file.path) has no tensor \(name)") }
        return try input.bytes(at: tensor.offset, count: tensor.byteCount)
    }

    func floats(of name: String) throws(LeafError) -> [Float] {
        try bytes(of: name).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }

    /// Calls `use` with each tile of a matrix that begins in `rows`: its first row, and its bytes.
    func forEachTile(
        ofMatrix index: Int, rows: Range<Int>, _ use: (Int, UnsafeRawBufferPointer) -> Void
    ) throws(LeafError) {
        let matrix = file.matrices[index]
        let tileBytes = 16 * matrix.paddedColumns
        for place in matrix.chunks {
            let chunk = file.chunks[place]
            let wanted = rows.clamped(to: chunk.firstRow..<chunk.firstRow + chunk.rowCount)
            if wanted.isEmpty { continue }
            let slot = try AlignedBuffer(count: chunk.slotBytes)
            try input.read(
                at: chunk.offset,
                into: UnsafeMutableRawBufferPointer(rebasing: slot.bytes[chunk.storedAt..<chunk.slotBytes]))
            let bytes = try file.verifyAndUnpack(place, in: slot.bytes)
            for row in stride(from: wanted.lowerBound, to: wanted.upperBound, by: 16) {
                let tile = (row - chunk.firstRow) / 16
                use(row, UnsafeRawBufferPointer(rebasing: bytes[tile * tileBytes..<(tile + 1) * tileBytes]))
            }
        }
    }
}
