package import LeafFormat
package import LeafSystem

/// What a request asks for.
package enum RequestKind: String, Sendable, CaseIterable {
    case generate, fill, score, perplexity, embed, logits, tokenize, detokenize

    /// Passes a field `kind`.
    ///
    /// - Throws: `.usage` if it names another kind.
    func check(_ reader: inout JSONReader) throws(LeafError) {
        let name = try reader.text()
        guard name == rawValue else { throw reader.wrong("is '\(name.prefix(40))', where \(rawValue) is answered") }
    }
}

/// Whatever names a request for the one who asks.
package enum RequestID: Sendable, Equatable {
    case text(String)
    case number(Int)

    /// - Throws: `.usage` for what is neither a text nor a whole number.
    package init(_ reader: inout JSONReader) throws(LeafError) {
        let wanted = "a text or a whole number"
        guard try reader.kind(among: [.text, .number], wanted) == .number else {
            self = .text(try reader.text())
            return
        }
        self = .number(try reader.integer(Int.self, wanted))
        try reader.endOfField()
    }

    package var json: JSON {
        switch self {
        case .text(let text): .string(text)
        case .number(let number): .integer(number)
        }
    }

    /// What to call a line that is broken somewhere, so that whoever asked knows which one it was: its id, or its
    /// number if it is JSON and gives none. Of any other nobody knows whether it gives one: null, so that it takes the
    /// id of no other line.
    package static func json(rescuedFrom bytes: ArraySlice<UInt8>, line: Int) -> JSON {
        var (id, isReadable) = (RequestID?.none, false)
        var reader = JSONReader(bytes)
        do throws(LeafError) {
            try reader.fields { name, reader throws(LeafError) in
                if name == "id" { id = try RequestID(&reader) } else { try reader.skip() }
            }
            try reader.end()
            isReadable = true
        } catch {}
        return id?.json ?? (isReadable ? .integer(line) : .null)
    }
}

extension JSONReader {
    /// Reads an object whose fields count as missing where they are null.
    ///
    /// - Parameter body: reads the value of a field, all of it.
    package mutating func fields(
        _ body: (_ name: String, _ reader: inout JSONReader) throws(LeafError) -> Void
    ) throws(LeafError) {
        try object { name, reader throws(LeafError) in
            if try reader.takeNull() { return }
            try body(name, &reader)
        }
    }

    /// The one object that the bytes hold.
    package static func read(
        _ json: ArraySlice<UInt8>, _ body: (_ name: String, _ reader: inout JSONReader) throws(LeafError) -> Void
    ) throws(LeafError) {
        var reader = JSONReader(json)
        try reader.fields { name, reader throws(LeafError) in
            if RequestWishes.names.contains(name) { return try reader.skip() }
            try body(name, &reader)
        }
        try reader.end()
    }
}
