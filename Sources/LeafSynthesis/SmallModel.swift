import CPMAntShape
import LeafConversion
import LeafFormat
import LeafSystem

/// The model whose numbers a large one takes.
struct SmallModel: Sendable {
    let file: CPMAntFile
    let stored: StoredModel

    /// - Throws: `.io` and `.badInput` if it cannot be read, or if bytes outside of its chunks are damaged.
    init(path: String) throws(LeafError) {
        file = try CPMAntFile.open(path: path)
        stored = try StoredModel(file.leaf)
    }

    /// The digest of the header, which contains every other digest and so identifies the file.
    var digest: String { file.leaf.digest }
}
