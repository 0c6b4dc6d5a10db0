import Leafcutter

/// The requests of a JSON lines file, all of them known to make sense.
struct RequestFile {
    struct Entry {
        let id: JSONText
        let request: GenerationRequest
        /// Of the file, from 1.
        let line: Int
        /// Whether it gave a text of which nothing is left.
        let isEmpty: Bool
    }

    let entries: [Entry]

    /// - Parameter defaults: what holds where a line says nothing.
    /// - Throws: `.usage` naming the first line that makes no sense.
    init(path: String, defaults: RequestLine.Defaults, for file: ModelFile) throws(LeafError) {
        entries = try JSONLines(path: path).map { line throws(LeafError) in
            let parsed: RequestLine = try line.decode([.defaults: defaults])
            let rows = try file.rows(of: parsed.prompt, parsed.options)
            let request = GenerationRequest(prompt: rows, options: parsed.options, samples: parsed.samples)
            try request.validate(for: file.configuration)
            let isText = if case .text = parsed.prompt { true } else { false }
            return Entry(
                id: parsed.id?.json ?? .integer(line.number), request: request, line: line.number,
                isEmpty: isText && rows.ids == [Tokenizer.bosID])
        }
    }
}
