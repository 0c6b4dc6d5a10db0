/// The head of a request as it arrives, byte by byte: its line and its fields, or the fields behind the last chunk of
/// its body.
///
/// What RFC 9112 does not allow is refused. A proxy in front might read it differently, so that one client's request
/// could be hidden in another's.
package struct HTTPHead {
    /// What the fields belong to.
    package enum Kind {
        case request
        /// They come behind a body, and may say nothing about it.
        case trailer
    }

    private enum Place {
        case start
        case method
        case target
        case version
        case name
        case value
        case end
    }

    package private(set) var byteCount = 0
    /// What `Content-Length` says; nil where it is absent.
    package private(set) var bodyBytes: Int?
    /// Whether the body comes in chunks.
    package private(set) var isChunked = false
    /// What the client calls the request; nil where it has no name for it that can be kept.
    package private(set) var requestID: String?
    package var isWhole: Bool { place == .end }

    private let kind: Kind
    private var place: Place
    /// The beginning of what stands at the place.
    private var word: [UInt8] = []
    /// Whether a carriage return was the last byte.
    private var awaitsLineFeed = false
    private var method = ""
    private var isModern = false
    private var name = ""
    private var hasHost = false
    /// Bytes of empty lines in front of a request.
    private(set) var emptyBytes = 0
    var isBegun: Bool { place != .start }

    private static let mostEmptyBytes = 8
    /// Longer than whatever is compared with something.
    private static let longestWord = RequestID.longest + 1

    package init(_ kind: Kind = .request) {
        self.kind = kind
        place = kind == .request ? .start : .name
    }

    /// - Parameter byte: the next one. Those behind the head are none of it.
    /// - Throws: what the request is answered with.
    package mutating func take(_ byte: UInt8) throws(ServedError) {
        guard !isWhole else { return }
        byteCount += 1
        if place == .start, byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\n") {
            emptyBytes += 1
            guard emptyBytes <= Self.mostEmptyBytes else { throw .badLine }
        }
        if byte == UInt8(ascii: "\n") {
            awaitsLineFeed = false
            return try endLine()
        }
        guard !awaitsLineFeed else { throw .malformed("a line of its head has a carriage return in its middle") }
        if byte == UInt8(ascii: "\r") {
            awaitsLineFeed = true
            return
        }
        switch place {
        case .start, .method, .target, .version: try takeLine(byte)
        case .name where byte == UInt8(ascii: ":") && !word.isEmpty:
            name = String(decoding: word, as: UTF8.self).lowercased()
            enter(.value)
        case .name:
            guard byte.isTokenByte else { throw .badField }
            keep(byte)
        case .value:
            guard byte >= 0x20 && byte != 0x7F || byte == UInt8(ascii: "\t") else { throw .badField }
            // libevent takes spaces alone from the front.
            if byte != UInt8(ascii: " ") || !word.isEmpty { keep(byte) }
        case .end: break
        }
    }

    private mutating func takeLine(_ byte: UInt8) throws(ServedError) {
        switch (place, byte) {
        case (.method, UInt8(ascii: " ")):
            method = String(decoding: word, as: UTF8.self)
            if method == "CONNECT" { throw .noTunnel }
            enter(.target)
        case (.target, UInt8(ascii: " ")):
            try checkTarget()
            enter(.version)
        case (.start, _), (.method, _):
            place = .method
            guard byte.isTokenByte else { throw .badLine }
            keep(byte)
        default:
            guard (0x21...0x7E).contains(byte) else { throw .badLine }
            keep(byte)
        }
    }

    private mutating func keep(_ byte: UInt8) { if word.count < Self.longestWord { word.append(byte) } }

    private mutating func enter(_ place: Place) {
        self.place = place
        word.removeAll(keepingCapacity: true)
    }

    private mutating func endLine() throws(ServedError) {
        switch place {
        // Empty lines before a request are no part of it.
        case .start, .end: return
        case .method, .target: throw .badLine
        case .version: try endVersion()
        case .name:
            guard word.isEmpty else { throw .badField }
            return try end()
        case .value: try endField()
        }
        enter(.name)
    }

    // MARK: What it says

    /// A path, the whole URL, or the server as such. A path with two slashes in front would be a host's name.
    private func checkTarget() throws(ServedError) {
        let target = String(decoding: word, as: UTF8.self).lowercased()
        if target.hasPrefix("/") && !target.hasPrefix("//") || target == "*" && method == "OPTIONS" { return }
        guard target.hasPrefix("http://") || target.hasPrefix("https://") else { throw .badTarget }
    }

    private mutating func endVersion() throws(ServedError) {
        switch String(decoding: word, as: UTF8.self) {
        case "HTTP/1.0": isModern = false
        case "HTTP/1.1": isModern = true
        case let version where version.hasPrefix("HTTP/"): throw .unknownVersion
        default: throw .badLine
        }
    }

    private mutating func endField() throws(ServedError) {
        if kind == .trailer, Self.headsOnly.contains(name) { throw .malformed("its '\(name)' comes behind the body") }
        switch name {
        case "host":
            guard !hasHost else { throw .malformed("it has two 'Host'") }
            hasHost = true
        case "content-length":
            guard bodyBytes == nil else { throw .malformed("it has two 'Content-Length'") }
            bodyBytes = try length()
        case "transfer-encoding":
            guard !isChunked, value.lowercased() == "chunked" else { throw .unknownCoding }
            isChunked = true
        // The first one holds, as everywhere.
        case "x-request-id": if requestID == nil, RequestID.isKept(value) { requestID = value }
        default: break
        }
    }

    /// What says how a request is to be read, or who asks.
    private static let headsOnly: Set = [
        "host", "content-length", "transfer-encoding", "content-type", "authorization", "expect", "connection",
        "origin", "content-encoding",
    ]

    /// Of a field, without what is blank around it; empty where it is too long to be compared.
    private var value: String {
        guard word.count < Self.longestWord else { return "" }
        let end = word.lastIndex { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
        return String(decoding: word[...(end ?? -1)], as: UTF8.self)
    }

    private func length() throws(ServedError) -> Int {
        let digits = value
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            throw .malformed("its 'Content-Length' is no number")
        }
        // More digits than any number has are a longer body than any.
        return Int(digits) ?? .max
    }

    private mutating func end() throws(ServedError) {
        enter(.end)
        guard kind == .request else { return }
        if isModern, !hasHost { throw .malformed("it has no 'Host'") }
        if isChunked, bodyBytes != nil { throw .malformed("it has both 'Transfer-Encoding' and 'Content-Length'") }
        if isChunked, !isModern { throw .malformed("HTTP/1.0 has no 'Transfer-Encoding'") }
        // libevent would take such a body for the next request.
        let hasBody = isChunked || bodyBytes ?? 0 > 0
        if hasBody, !Self.methodsWithBody.contains(method) { throw .malformed("\(method) has no body here") }
    }

    private static let methodsWithBody: Set = ["POST", "PUT", "PATCH"]
}

extension UInt8 {
    /// Whether names of methods and fields may have it (RFC 9110).
    fileprivate var isTokenByte: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(self)
        }
    }
}
