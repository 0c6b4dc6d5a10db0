package import LeafFormat
package import LeafSystem

/// Where a request comes from.
package enum RequestDoor: Sendable {
    /// A line of a file, or a call of this process: its answer comes whole, and it may name files.
    case line
    /// HTTP.
    case server
}

/// The names of fields that nobody knows, as they may stand in a header.
package struct UnknownFields: Sendable, Equatable {
    package private(set) var names: [String] = []

    private static let most = 32
    private static let longest = 64
    /// Names of files, and what is chosen when a model is opened.
    private static let forbidden: Set<String> = [
        "session", "session_every", "trace", "draft_corpus", "draft_tokens", "share_ngrams", "speculate", "delta_alpha",
    ]
    /// What clients send to every route, and what is the same here whatever it says.
    private static let known: Set<String> = ["model", "user"]

    package init() {}

    /// Passes a field that its kind of request does not have.
    ///
    /// - Throws: `.usage` for one that must not be passed.
    package mutating func pass(_ name: String, _ reader: inout JSONReader) throws(LeafError) {
        guard !Self.forbidden.contains(name) else {
            throw reader.wrong("is not for a request to choose; leave it out")
        }
        if name == "stream" {
            guard try !reader.bool() else { throw reader.wrong("is true, where answers come whole") }
        } else {
            if !Self.known.contains(name) { add(name) }
            try reader.skip()
        }
    }

    /// Passes such a field without keeping its name.
    static func drop(_ name: String, _ reader: inout JSONReader) throws(LeafError) {
        var fields = UnknownFields()
        try fields.pass(name, &reader)
    }

    private mutating func add(_ name: String) {
        // A header holds letters and no line breaks, whatever a body calls its fields.
        let shown = String(
            String.UnicodeScalarView(name.unicodeScalars.prefix(Self.longest).map { Self.isPlain($0) ? $0 : "?" }))
        guard names.count < Self.most, !names.contains(shown) else { return }
        names.append(shown)
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_", "-", ".": true
        default: false
        }
    }
}
