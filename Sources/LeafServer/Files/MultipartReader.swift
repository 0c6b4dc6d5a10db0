import LeafSystem

/// Reads a body of `multipart/form-data` (RFC 7578) in whatever pieces it comes, and holds no more than the end of one.
package struct MultipartReader: Sendable {
    /// What a part says of itself.
    package struct Part: Sendable, Equatable {
        package var name = ""
        /// A label that the client chose; never a path.
        package var fileName: String?
    }

    package enum Event {
        case begin(Part)
        case bytes(ArraySlice<UInt8>)
        /// The part is whole.
        case end
    }

    private enum State {
        /// In a part, or in front of the first one.
        case content
        /// Behind a delimiter: another part follows, or nothing.
        case delimiter
        case head
        /// Behind the last part.
        case epilogue
    }

    /// A line break and the boundary.
    private let delimiter: [UInt8]
    private var state = State.content
    private var hasPart = false
    private var parts = 0
    /// What may be the beginning of a delimiter, or a head that is not whole. The body counts as if a line break stood
    /// in front of it.
    private var held = Array("\r\n".utf8)

    private static let longestBoundary = 70
    private static let longestHead = 8 << 10
    private static let mostParts = 32

    /// - Parameter contentType: of the request.
    /// - Throws: 415 for another type, 400 for a boundary that there is not, or that makes no sense.
    package init(contentType: String?) throws(ServedError) {
        let fields = ParameterizedHeader(contentType ?? "")
        guard fields.value.lowercased() == "multipart/form-data" else { throw .notForm }
        guard let boundary = fields["boundary"]?.utf8, (1...Self.longestBoundary).contains(boundary.count),
            boundary.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }), boundary.last != UInt8(ascii: " ")
        else { throw .badForm("its boundary is missing, or is not 1 to \(Self.longestBoundary) characters") }
        delimiter = Array("\r\n--".utf8) + boundary
    }

    /// Takes the next piece.
    ///
    /// - Throws: what `onEvent` throws, 400 for what is no form.
    package mutating func take(
        _ piece: some Sequence<UInt8>, _ onEvent: (Event) throws(ServedError) -> Void
    ) throws(ServedError) {
        held += piece
        var begin = 0
        while let end = try step(from: begin, onEvent) { begin = end }
        held.removeFirst(begin)
    }

    /// - Throws: 400 for a form that is not whole.
    package func finish() throws(ServedError) {
        guard state == .epilogue else { throw .badForm("it ends before its last boundary") }
    }

    /// Reads on from a place in `held`.
    ///
    /// - Returns: where to go on; nil where more is needed first. What comes before `begin` is read.
    private mutating func step(
        from begin: Int, _ onEvent: (Event) throws(ServedError) -> Void
    ) throws(ServedError) -> Int? {
        switch state {
        case .content: return try content(from: begin, onEvent)
        case .delimiter: return try behindDelimiter(from: begin)
        case .head: return try head(from: begin, onEvent)
        case .epilogue: return begin == held.count ? nil : held.count
        }
    }

    private mutating func content(
        from begin: Int, _ onEvent: (Event) throws(ServedError) -> Void
    ) throws(ServedError) -> Int? {
        let found = held.firstRange(of: delimiter, from: begin)
        // What may be the beginning of a delimiter waits for the rest of it.
        let end = found ?? max(begin, held.count - delimiter.count + 1)
        if end > begin, hasPart { try onEvent(.bytes(held[begin..<end])) }
        guard let found else { return end > begin ? end : nil }
        if hasPart { try onEvent(.end) }
        state = .delimiter
        return found + delimiter.count
    }

    private mutating func behindDelimiter(from begin: Int) throws(ServedError) -> Int? {
        let rest = held[begin...]
        if rest.starts(with: "--".utf8) {
            state = .epilogue
            return begin + 2
        }
        let line = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        guard line.startIndex - begin <= Self.longestHead else {
            throw .badForm("a boundary is followed by more than \(Self.longestHead) blanks")
        }
        guard line.count >= 2 else { return nil }
        guard line.starts(with: "\r\n".utf8) else { throw .badForm("a boundary is followed by something else") }
        state = .head
        // From the line break on, so that an empty head ends as any other.
        return line.startIndex
    }

    private mutating func head(
        from begin: Int, _ onEvent: (Event) throws(ServedError) -> Void
    ) throws(ServedError) -> Int? {
        let ending = Array("\r\n\r\n".utf8)
        let end = held.firstRange(of: ending, from: begin)
        // A part of the ending may be there already.
        guard (end ?? held.count - ending.count + 1) - begin <= Self.longestHead else {
            throw .badForm("a part's head has more than \(Self.longestHead) bytes")
        }
        guard let end else { return nil }
        parts += 1
        guard parts <= Self.mostParts else { throw .badForm("it has more than \(Self.mostParts) parts") }
        try onEvent(.begin(Self.part(held[begin..<end])))
        (state, hasPart) = (.content, true)
        return end + 4
    }

    private static func part(_ head: ArraySlice<UInt8>) throws(ServedError) -> Part {
        var part: Part?
        for line in String(decoding: head, as: UTF8.self).split(separator: "\r\n") {
            guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else {
                throw .badForm("a line of a part's head is no header")
            }
            let field = ParameterizedHeader(String(line[line.utf8.index(after: colon)...]))
            switch line[..<colon].lowercased() {
            case "content-disposition":
                guard part == nil, field.value.lowercased() == "form-data", let name = field["name"] else {
                    throw .badForm("a part is no field of a form")
                }
                part = Part(name: name, fileName: field["filename"])
            case "content-transfer-encoding":
                guard ["binary", "8bit", "7bit"].contains(field.value.lowercased()) else {
                    throw .badForm("a part is encoded; send its bytes as they are")
                }
            case "content-type":
                guard !field.value.lowercased().hasPrefix("multipart/") else {
                    throw .badForm("a part is a form of its own; send one file")
                }
            default: break
            }
        }
        guard let part else { throw .badForm("a part does not say which field it is") }
        return part
    }
}

/// The value of a header, and the parameters behind it: `form-data; name="file"`.
struct ParameterizedHeader {
    let value: String
    private var parameters: [(name: String, value: String)] = []
    private static let mostParameters = 16

    init(_ text: String) {
        var rest = text.utf8[...]
        value = Self.text(Self.take(from: &rest) { $0 == UInt8(ascii: ";") })
        while rest.popFirst() != nil, parameters.count < Self.mostParameters {
            let name = Self.text(Self.take(from: &rest) { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ";") })
            guard rest.first == UInt8(ascii: "=") else { continue }
            rest.removeFirst()
            rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            let value =
                rest.first == UInt8(ascii: "\"")
                ? Self.quoted(&rest) : Self.text(Self.take(from: &rest) { $0 == UInt8(ascii: ";") })
            parameters.append((name.lowercased(), value))
            _ = Self.take(from: &rest) { $0 == UInt8(ascii: ";") }
        }
    }

    /// The first parameter of a name.
    subscript(_ name: String) -> String? { parameters.first { $0.name == name }?.value }

    private static func take(
        from rest: inout Substring.UTF8View, until isEnd: (UInt8) -> Bool
    ) -> Substring.UTF8View {
        let end = rest.firstIndex(where: isEnd) ?? rest.endIndex
        defer { rest = rest[end...] }
        return rest[..<end]
    }

    /// A text in quotes, and what follows it left over.
    private static func quoted(_ rest: inout Substring.UTF8View) -> String {
        var bytes: [UInt8] = []
        rest.removeFirst()
        while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
            // Some clients send paths of Windows, whose backslashes stand for themselves.
            let isEscape = byte == UInt8(ascii: "\\") && (rest.first == UInt8(ascii: "\"") || rest.first == byte)
            bytes.append(isEscape ? rest.removeFirst() : byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func text(_ bytes: Substring.UTF8View) -> String {
        let isSpace: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        let rest = Array(bytes.drop(while: isSpace))
        return String(decoding: rest[..<(rest.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? 0)], as: UTF8.self)
    }
}

extension [UInt8] {
    /// Where some bytes stand first, from a place on.
    fileprivate func firstRange(of wanted: [UInt8], from begin: Int) -> Int? {
        withUnsafeBufferPointer { bytes in
            var place = begin
            while place + wanted.count <= bytes.count {
                guard let next = bytes[place...(bytes.count - wanted.count)].firstIndex(of: wanted[0]) else {
                    return nil
                }
                if bytes[next..<next + wanted.count].elementsEqual(wanted) { return next }
                place = next + 1
            }
            return nil
        }
    }
}

extension ServedError {
    fileprivate static let notForm = ServedError(
        status: .unsupportedMediaType, "the body must be a form with a file; send Content-Type: multipart/form-data")

    static func badForm(_ reason: String) -> ServedError {
        ServedError(status: .badRequest, "the form cannot be read: \(reason)")
    }
}
