import LeafGeneration
import LeafSystem
import LeafTokenizer

extension ModelFile {
    /// Heap bytes of a corpus beside its index, for each byte of the file: the text, and ids in an array that grows.
    private static let bytesPerByte = 12

    /// Reads a text of the kind that is going to be written: what stands in it is drafted.
    ///
    /// - Parameter memory: the budget that the model will have. A corpus may be of any size, so that reading it takes
    ///   no byte more. One that is too large is not read: no plan within this budget exists then, and the refusal names
    ///   a budget that would do for all.
    /// - Throws: `.io`, `.badInput` for what is not UTF-8, `.budget` if the system has too little memory for it,
    ///   `.usage` if the model has no vocabulary.
    public mutating func addDraftCorpus(path: String, memory: MemoryBudget = .automatic) throws(LeafError) {
        let tokenizer = try requireTokenizer()
        let input = try InputFile(path: path, readsPages: true)
        let reading = Self.bytesPerByte *| input.byteCount
        if case .bytes(let budget) = memory {
            let tokens = try Self.scalarCount(of: input)
            let needed = reading +| DraftCorpus.buildingBytes(tokens: tokens)
            guard allowance.held +| needed <= budget else {
                allowance.note(missing: needed, keeping: DraftCorpus.byteCount(tokens: tokens))
                unreadCorpus = path
                return
            }
        }
        try allowance.take(reading, for: "its text", of: path)
        defer { allowance.give(back: reading) }
        guard let text = String(validating: try input.bytes(at: 0, count: input.byteCount), as: UTF8.self) else {
            throw LeafError(.badInput, "\(path) is not valid UTF-8; convert it first")
        }
        let ids = tokenizer.encode(text)
        let building = DraftCorpus.buildingBytes(tokens: ids.count)
        try allowance.take(building, for: "its n-grams", of: path)
        let corpus = try DraftCorpus(ids, within: building)
        allowance.give(back: building - DraftCorpus.byteCount(tokens: ids.count))
        (draftCorpus, draftCorpusPath, unreadCorpus) = (corpus, path, nil)
    }

    /// Characters of a text, which has no more tokens.
    private static func scalarCount(of input: InputFile) throws(LeafError) -> Int {
        var count = 0
        for offset in stride(from: 0, to: input.byteCount, by: pieceBytes) {
            let piece = try input.bytes(at: offset, count: min(pieceBytes, input.byteCount - offset))
            // All bytes of a character but the first begin with the bits 10.
            count += piece.count { $0 & 0xC0 != 0x80 }
        }
        return count
    }

    private static let pieceBytes = 64 << 10
}
