import LeafFormat
import LeafSystem
import LeafWire

/// What is known of the answer to a line before it comes: what it calls itself, and the fields that it has.
struct AnswerShape: Sendable {
    /// A digest, so that a line under way takes few bytes however long its id is.
    private let id: UInt64
    /// Nil in OpenAI's form.
    private let fields: [String]?

    init(of item: BatchItem) {
        id = ChunkDigest.of(item.name.idBytes)
        fields = item.answerFields
    }

    /// Whether the job itself could have written this.
    func fits(_ answer: LineAnswer) -> Bool {
        var kinds: [String: JSONReader.Kind] = [:]
        var found: UInt64?
        var reader = JSONReader(Array(answer.answer.utf8)[...])
        do throws(LeafError) {
            // Fields that are null count: OpenAI's form has them.
            try reader.object { name, reader throws(LeafError) in
                kinds[name] = try reader.kind()
                if name == (fields == nil ? "custom_id" : "id") {
                    found = ChunkDigest.of(try RequestID(&reader).bytes)
                } else {
                    try reader.skip()
                }
            }
            try reader.end()
        } catch {
            return false
        }
        guard found == id else { return false }
        let names = Set(kinds.keys)
        guard let fields else {
            let (response, error): (JSONReader.Kind, JSONReader.Kind) =
                answer.isFailure ? (.null, .object) : (.object, .null)
            return names == ["id", "custom_id", "response", "error"] && kinds["response"] == response
                && kinds["error"] == error
        }
        if answer.isFailure { return names == ["id", "error"] }
        return names.isSuperset(of: fields) && !names.contains("error")
    }
}
