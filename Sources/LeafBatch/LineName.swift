import LeafFormat
import LeafSystem
import LeafWire

extension RequestID {
    /// What two equal ids have in common, and no others.
    var bytes: [UInt8] {
        switch self {
        case .number(let number): Array("#\(number)".utf8)
        case .text(let text): Array("\"\(text)".utf8)
        }
    }
}

/// What a line calls itself, as far as it can be read, and in whose form its answer has to be.
struct LineName: Sendable {
    let line: Int
    /// Nil where it gives none, or none that can be read.
    let id: RequestID?
    let isOpenAI: Bool
    /// Of OpenAI's form.
    let method: String?
    let url: String?
    /// What is wrong with one of these.
    let fault: LeafError?
    /// Whether nothing calls it, and it takes no other line's id: its id is of a kind that no id is, or it gives none
    /// where it has to, or as far as it can be read.
    let isNameless: Bool

    /// Reads no more than names, so that a line that is broken elsewhere can be answered.
    init(_ bytes: ArraySlice<UInt8>, line: Int) {
        var (id, method, url): (RequestID?, String?, String?)
        var (hasKind, isForeign) = (false, false)
        var customID: String?
        var (idFault, customIDFault, routeFault): (LeafError?, LeafError?, LeafError?)
        var isReadable = false
        var reader = JSONReader(bytes)
        let fields: (String, inout JSONReader) throws(LeafError) -> Void = { name, reader in
            switch name {
            case "id":
                let next = try Self.next(&reader, noting: &idFault) { reader throws(LeafError) in
                    try RequestID(&reader)
                }
                id = id ?? next
            case "custom_id":
                isForeign = true
                customID = try Self.text(&reader, noting: &customIDFault)
            case "method": method = try Self.text(&reader, noting: &routeFault)
            case "url":
                isForeign = true
                url = try Self.text(&reader, noting: &routeFault)
            case "kind":
                hasKind = true
                try reader.skip()
            default: try reader.skip()
            }
        }
        do throws(LeafError) {
            try reader.fields(fields)
            try reader.end()
            isReadable = true
        } catch {}
        // Data files have fields of any name beside ours.
        isOpenAI = isForeign && !hasKind
        self.id = isOpenAI ? customID.map { RequestID.text($0) } : id
        let hasBadID = (isOpenAI ? customIDFault : idFault) != nil
        isNameless = hasBadID || self.id == nil && (isOpenAI || !isReadable)
        fault = isOpenAI ? customIDFault ?? routeFault : idFault
        (self.line, self.method, self.url) = (line, method, url)
    }

    /// Of a line that cannot be read at all.
    init(line: Int) {
        (self.line, id, method, url, isOpenAI) = (line, nil, nil, nil, false)
        (fault, isNameless) = (nil, true)
    }

    private static func text(
        _ reader: inout JSONReader, noting fault: inout LeafError?
    ) throws(LeafError) -> String? {
        try next(&reader, noting: &fault) { reader throws(LeafError) in try reader.text() }
    }

    /// The next value; one of another kind is passed, so that the names behind it are read as well.
    private static func next<Value>(
        _ reader: inout JSONReader, noting fault: inout LeafError?,
        _ read: (inout JSONReader) throws(LeafError) -> Value
    ) throws(LeafError) -> Value? {
        var attempt = reader
        do throws(LeafError) {
            let value = try read(&attempt)
            reader = attempt
            return value
        } catch {
            fault = fault ?? error
            try reader.skip()
            return nil
        }
    }

    /// The id of its answer: a line without one is called by its number.
    var answerID: RequestID { id ?? .number(line) }

    /// What two lines with the same id have in common, and no others.
    var idBytes: [UInt8] { answerID.bytes }

    /// Names the answer in OpenAI's form.
    var answerNumber: String { "\(line)" }

    /// The answer in OpenAI's form.
    ///
    /// - Parameter body: what the route would answer.
    func answer(body: JSON) -> JSON {
        openAI(
            response: [
                "status_code": .integer(200), "request_id": .string("req_" + answerNumber), "body": body,
            ], error: .null)
    }

    /// Of what the answer in OpenAI's form consists.
    static func answerShape(body: ValueShape) -> ValueShape {
        openAIShape(
            response: .object(["status_code": .count, "request_id": .text, "body": body]), error: .null)
    }

    /// Of what the answer to a request that failed consists.
    var failureShape: ValueShape {
        isOpenAI
            ? Self.openAIShape(response: .null, error: .object(["code": .text, "message": .text]))
            : .object(["id": .id, "error": .text])
    }

    private static func openAIShape(response: ValueShape, error: ValueShape) -> ValueShape {
        .object(["id": .text, "custom_id": .text, "response": response, "error": error])
    }

    /// The answer to a request that failed.
    ///
    /// - Parameter isDuplicate: whether its id is another line's, which it must not take.
    func answer(_ error: LeafError, isDuplicate: Bool = false) -> JSON {
        let isNameless = isDuplicate || isNameless
        let id = isNameless ? .null : answerID.json
        guard isOpenAI else { return error.answer(id: id) }
        return openAI(
            response: .null, error: ["code": .string(error.code), "message": .string(error.description)],
            id: isNameless ? .null : nil)
    }

    private func openAI(response: JSON, error: JSON, id: JSON? = nil) -> JSON {
        [
            "id": .string("batch_req_" + answerNumber), "custom_id": id ?? answerID.json, "response": response,
            "error": error,
        ]
    }
}
