import LeafGeneration
import LeafSystem
import LeafTokenizer

extension ModelFile {
    /// Heap bytes of a corpus beside its index, for each byte of the file: the text, and ids in an array that grows.
    private static let bytesPerByte = 12

    /// Reads a text of the kind that is going to be written: what stands in it is drafted.
    ///
    /// - Parameter memory: the budget that the model will have. A corpus may be of any size, so that reading it takes
    ///   no byte more.
    /// - Throws: `.io`, `.badInput` for what is not UTF-8, `.budget` if it is too large for the memory, `.usage` if the
    ///   model has no vocabulary.
    public mutating func addDraftCorpus(path: String, memory: MemoryBudget = .automatic) throws(LeafError) {
        let tokenizer = try requireTokenizer()
        let input = try InputFile(path: path, readsPages: true)
        let reading = Self.bytesPerByte *| input.byteCount
        if case .bytes(let budget) = memory {
            var room = HeapAllowance(budget: budget, held: allowance.held)
            try room.take(reading +| DraftCorpus.buildingBytes(tokens: input.byteCount / 3), for: "it all", of: path)
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
        (draftCorpus, draftCorpusPath) = (corpus, path)
    }
}
