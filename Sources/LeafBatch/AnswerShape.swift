import LeafFormat
import LeafSystem
import LeafWire

/// What is known of the answer to a line before it comes: what it calls itself, and of what it consists.
struct AnswerShape: Sendable {
    /// A digest, so that a line under way takes few bytes however long its id is.
    private let id: UInt64
    private let success: ValueShape
    private let failure: ValueShape

    init(of item: BatchItem) {
        id = ChunkDigest.of(item.name.idBytes)
        success = item.answerShape
        failure = item.name.failureShape
    }

    /// - Throws: `.usage` saying why the job itself could not have written this.
    func check(_ answer: LineAnswer) throws(LeafError) {
        let bytes = Array(answer.answer.utf8)[...]
        var reader = JSONReader(bytes)
        try (answer.isFailure ? failure : success).check(&reader)
        try reader.end()
        guard ChunkDigest.of(LineName(bytes, line: answer.line).idBytes) == id else {
            throw LeafError(.usage, "it has the id of another line")
        }
    }
}
