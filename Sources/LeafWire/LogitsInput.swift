import LeafFormat
package import LeafGeneration
package import LeafSystem

/// Texts whose logits are wanted: a case, `{"id","input_ids","task","segment"}` or
/// `{"id","input","length","context","segment","span"}`, or many, `{"cases":[..]}`.
package enum LogitsInput {
    /// Bytes that reading a file of cases takes at most, the file's own among them: the shortest case has 24 and
    /// becomes a value in an array that has doubled, with arrays of its own.
    package static func heapBound(byteCount: Int) -> Int { 18 *| byteCount }

    /// Bytes that cases take while their logits are computed and written: themselves in an array that has doubled, a
    /// request, an entry of the file's table, and their names to compare.
    package static func byteCount(of cases: [LogitsCase]) -> Int {
        cases.reduce(0) { sum, one in
            let ids = [one.inputIDs, one.input, one.span].reduce(0) { $0 + 8 * ($1?.count ?? 0) }
            let numbers = 16 * (one.segments.count + (one.context?.count ?? 0))
            return sum +| caseBytes + 6 * one.id.utf8.count + ids + numbers
        }
    }

    /// What a case takes whatever it holds.
    private static var caseBytes: Int { 3 * MemoryLayout<LogitsCase>.stride + 640 }

    /// How large the cases of a file are at most, told from its brackets and commas alone: the file passes piece by
    /// piece and is never held.
    package struct Outline {
        private var isText = false
        private var isEscaped = false
        /// Values of the list whose bracket opened last, as far as it has come.
        private var values = 0
        private var objects = 0
        private var textBytes = 0
        private var listed = 0
        /// The most values of a list: no case has more rows of its own.
        package private(set) var longestList = 0

        package init() {}

        /// At least `LogitsInput.byteCount` of the cases.
        package var byteCount: Int { objects *| caseBytes +| 6 *| textBytes +| 16 *| listed }

        package mutating func add(_ piece: [UInt8]) {
            for byte in piece {
                if isText {
                    textBytes += 1
                    isText = isEscaped || byte != UInt8(ascii: "\"")
                    isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
                    continue
                }
                switch byte {
                case UInt8(ascii: "\""): isText = true
                case UInt8(ascii: "["): values = 1
                case UInt8(ascii: ","): values += 1
                case UInt8(ascii: "]"):
                    longestList = max(longestList, values)
                    listed += values
                    values = 0
                case UInt8(ascii: "{"):
                    objects += 1
                    values = 0
                case UInt8(ascii: "}"): values = 0
                default: break
                }
            }
        }
    }

    /// One case. Alone it needs no id, which is empty then.
    ///
    /// - Throws: `.usage` naming the field that makes no sense.
    package static func logitsCase(json: ArraySlice<UInt8>) throws(LeafError) -> LogitsCase {
        var reader = JSONReader(json)
        let logitsCase = try logitsCase(&reader, isAlone: true)
        try reader.end()
        return logitsCase
    }

    /// Many cases.
    ///
    /// - Throws: `.usage` naming the field that makes no sense.
    package static func cases(json: ArraySlice<UInt8>) throws(LeafError) -> [LogitsCase] {
        var cases: [LogitsCase]?
        try JSONReader.read(json) { name, reader throws(LeafError) in
            guard name == "cases" else { return try reader.skip() }
            var found: [LogitsCase] = []
            try reader.list { reader throws(LeafError) in
                do throws(LeafError) {
                    found.append(try logitsCase(&reader))
                } catch {
                    throw LeafError(error.kind, "case \(found.count + 1): \(error)")
                }
            }
            cases = found
        }
        guard let cases else { throw LeafError.field("cases", "is missing") }
        return cases
    }

    private static func logitsCase(_ reader: inout JSONReader, isAlone: Bool = false) throws(LeafError) -> LogitsCase {
        var id: String?
        var parsed = LogitsCase(id: "", inputIDs: [])
        parsed.inputIDs = nil
        parsed.segments = []
        try reader.fields { name, reader throws(LeafError) in
            switch name {
            case "id": id = try reader.text()
            case "input_ids": parsed.inputIDs = try reader.integers()
            case "task": parsed.task = try reader.integer(Int.self)
            case "input": parsed.input = try reader.integers()
            case "length": parsed.length = try reader.integer(Int.self)
            case "context": parsed.context = try reader.integers()
            case "span": parsed.span = try reader.integers()
            case "segment":
                parsed.segments =
                    try reader.kind(among: [.number, .list]) == .list ? try reader.integers() : [try reader.integer()]
            // Recorded cases hold what they were made of as well.
            default: try reader.skip()
            }
        }
        guard let id = id ?? (isAlone ? "" : nil) else { throw LeafError.field("id", "is missing") }
        parsed.id = id
        return parsed
    }
}
