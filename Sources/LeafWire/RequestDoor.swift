package import LeafFormat
package import LeafSystem

/// Where a request comes from.
package enum RequestDoor: Sendable {
    /// A line of a file, or a call of this process: its answer comes whole, and it may name files.
    case line
    /// HTTP.
    case server
}

/// The names of fields that nobody knows, as they may stand in a header: letters, digits, `_`, `-` and `.`; every other
/// byte is `%` and two digits, as in a URL.
package struct UnknownFields: Sendable, Equatable {
    package private(set) var names: [String] = []
    /// Fields behind those, which are too many to be named.
    private var unnamed = 0

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
    /// - Throws: `.usage` for one that must not be passed, or demands what CPM-Ant cannot give.
    package mutating func pass(_ name: String, _ reader: inout JSONReader) throws(LeafError) {
        guard !Self.forbidden.contains(name) else {
            throw reader.wrong("is not for a request to choose; leave it out")
        }
        if OpenAIDemands.names.contains(name) {
            if try !OpenAIDemands.areMet(name, &reader) { add(name) }
        } else if name == "stream" {
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

    /// Notes one that was passed.
    package mutating func add(_ name: String) {
        let shown = Self.shown(name)
        guard !names.contains(shown) else { return }
        if names.count < Self.most { names.append(shown) } else { unnamed += 1 }
    }

    /// All of them for a header: the names, and `+7` where seven more fields have no room. Nil where there are none.
    package var header: String? {
        guard !names.isEmpty else { return nil }
        return (names + (unnamed > 0 ? ["+\(unnamed)"] : [])).joined(separator: ", ")
    }

    /// A name that is too long ends in `…`.
    private static func shown(_ name: String) -> String {
        var shown = ""
        for scalar in name.unicodeScalars {
            let next = escaped(String(scalar))
            guard shown.utf8.count + next.utf8.count <= longest else { return shown + escaped("…") }
            shown += next
        }
        return shown
    }

    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte -> String in
            if isPlain(byte) { return String(Unicode.Scalar(byte)) }
            return (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
        }.joined()
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
