import LeafFormat
import LeafSystem
import LeafWire

/// What is kept of a batch.
package struct BatchRecord: Sendable {
    package enum Status: String, CaseIterable, Sendable {
        /// It waits for its turn, or its lines are checked.
        case validating
        case inProgress = "in_progress"
        /// Nothing more is answered; its files are being made.
        case finalizing, cancelling
        case completed, failed, expired, cancelled

        var isOver: Bool { [.completed, .failed, .expired, .cancelled].contains(self) }
        /// The field of when it came to that; nil for the first one.
        var timeName: String? { self == .validating ? nil : rawValue + "_at" }
    }

    /// Why it failed.
    struct Failure: Sendable {
        let code: String
        let message: String
        /// Of the file of requests, where it is a line's fault.
        let line: Int?
    }

    /// What a batch waits for beside its turn.
    enum Obstacle: String {
        case options = "other_options"
        case room = "no_space"

        var json: JSON {
            let message =
                switch self {
                case .options:
                    "the batch was begun with options that give other answers; it waits for a server that is started "
                        + "as it was begun, and can be cancelled, which keeps the answers that it has"
                case .room: "the server's disk takes no more; the batch goes on once its owner has made room"
                }
            return ["code": .string(rawValue), "message": .string(message)]
        }
    }

    /// Requests, and those that have their answers.
    struct Counts: Sendable {
        var total = 0
        var completed = 0
        var failed = 0

        var done: Int { completed + failed }
    }

    package let id: String
    /// Batches have their turns in the order of these.
    let number: Int
    let owner: String
    let input: String
    let endpoint: String
    let window: String
    let metadata: [(key: String, value: String)]
    /// Names of the files that come of it, if anything does.
    package let output: String
    let errors: String
    /// Seconds since 1970.
    let created: Int
    let expires: Int
    package private(set) var status = Status.validating
    /// What it becomes once its files are made.
    private(set) var outcome: Status?
    private(set) var times: [Status: Int] = [:]
    var counts = Counts()
    var failure: Failure?
    /// Those of its files that were made.
    package var made: [String] = []

    /// Nothing more of it is answered.
    var hasOnlyToEnd: Bool { status == .cancelling || outcome != nil }

    package mutating func enter(_ status: Status, at time: Int) {
        self.status = status
        times[status] = times[status] ?? time
    }

    /// Its files are made from now on.
    mutating func finalize(as outcome: Status, at time: Int) {
        self.outcome = outcome
        enter(outcome == .cancelled ? .cancelling : .finalizing, at: time)
    }

    /// What clients are told: what OpenAI has, and what it waits for.
    func told(waitsFor obstacle: Obstacle?) -> JSON { json.with("waits_for", obstacle?.json ?? .null) }

    /// What OpenAI has of it.
    private var json: JSON {
        let times: [(key: String, value: JSON)] = Status.allCases.compactMap { status in
            status.timeName.map { ($0, self.times[status].map { .integer($0) } ?? .null) }
        }
        func name(_ id: String) -> JSON { made.contains(id) ? .string(id) : .null }
        var fields: [(key: String, value: JSON)] = [
            ("id", .string(id)), ("object", "batch"), ("endpoint", .string(endpoint)), ("errors", failures),
            ("input_file_id", .string(input)), ("completion_window", .string(window)),
            ("status", .string(status.rawValue)), ("output_file_id", name(output)),
            ("error_file_id", name(errors)), ("created_at", .integer(created)),
            ("expires_at", .integer(expires)),
        ]
        fields += times
        let counts: JSON = [
            "total": .integer(counts.total), "completed": .integer(counts.completed), "failed": .integer(counts.failed),
        ]
        fields.append(("request_counts", counts))
        let pairs: [(key: String, value: JSON)] = metadata.map { ($0.key, .string($0.value)) }
        fields.append(("metadata", pairs.isEmpty ? .null : .object(pairs)))
        return .object(fields)
    }

    private var failures: JSON {
        guard let failure else { return .null }
        let entry: JSON = [
            "code": .string(failure.code), "line": failure.line.map { .integer($0) } ?? .null,
            "message": .string(failure.message), "param": .null,
        ]
        return ["object": "list", "data": [entry]]
    }

    /// The same with what clients are not told, as it stands on the disk.
    var line: String {
        let inner: JSON = [
            "number": .integer(number), "owner": .string(owner), "output": .string(output), "errors": .string(errors),
            "outcome": outcome.map { .string($0.rawValue) } ?? .null,
        ]
        return json.with("leafcutter", inner).line + "\n"
    }
}

extension BatchRecord {
    /// - Throws: `.badInput` for anything that is no record.
    init(line: [UInt8]) throws(LeafError) {
        var texts: [String: String] = [:]
        var numbers: [String: Int] = [:]
        var metadata: [(key: String, value: String)] = []
        var counts = Counts()
        var failure: Failure?
        try JSONReader.read(line[...]) { name, reader throws(LeafError) in
            switch name {
            case "errors": failure = try Failure(&reader)
            case "metadata":
                try reader.object { name, reader throws(LeafError) in metadata.append((name, try reader.text())) }
            case "request_counts":
                try reader.fields { name, reader throws(LeafError) in
                    switch name {
                    case "total": counts.total = try reader.integer()
                    case "completed": counts.completed = try reader.integer()
                    case "failed": counts.failed = try reader.integer()
                    default: try reader.skip()
                    }
                }
            case "leafcutter":
                try reader.fields { name, reader throws(LeafError) in
                    switch try reader.kind() {
                    case .text: texts["own " + name] = try reader.text()
                    case .number: numbers["own " + name] = try reader.integer(Int.self)
                    default: try reader.skip()
                    }
                }
            default:
                switch try reader.kind() {
                case .text: texts[name] = try reader.text()
                case .number: numbers[name] = try reader.integer(Int.self)
                default: try reader.skip()
                }
            }
        }
        guard let id = texts["id"], let number = numbers["own number"], let owner = texts["own owner"],
            let input = texts["input_file_id"], let endpoint = texts["endpoint"],
            let window = texts["completion_window"], let output = texts["own output"],
            let errors = texts["own errors"], let created = numbers["created_at"], let expires = numbers["expires_at"],
            let status = texts["status"].flatMap(Status.init(rawValue:)),
            [input, output, errors].allSatisfy({ StoredID.isMade($0, StoredID.file) })
        else { throw LeafError(.badInput, "it is no record of a batch") }
        self.init(
            id: id, number: number, owner: owner, input: input, endpoint: endpoint, window: window, metadata: metadata,
            output: output, errors: errors, created: created, expires: expires)
        (self.status, self.counts, self.failure) = (status, counts, failure)
        made = [texts["output_file_id"], texts["error_file_id"]].compactMap(\.self)
        outcome = texts["own outcome"].flatMap(Status.init(rawValue:))
        for status in Status.allCases { if let name = status.timeName { times[status] = numbers[name] } }
    }

    init(
        id: String, number: Int, owner: String, input: String, endpoint: String, window: String,
        metadata: [(key: String, value: String)], output: String, errors: String, created: Int, expires: Int
    ) {
        (self.id, self.number, self.owner) = (id, number, owner)
        (self.input, self.endpoint, self.window, self.metadata) = (input, endpoint, window, metadata)
        (self.output, self.errors, self.created, self.expires) = (output, errors, created, expires)
    }
}

extension BatchRecord.Failure {
    fileprivate init?(_ reader: inout JSONReader) throws(LeafError) {
        var found: Self?
        try reader.fields { name, reader throws(LeafError) in
            guard name == "data" else { return try reader.skip() }
            try reader.list { reader throws(LeafError) in
                var (code, message, line): (String?, String?, Int?)
                try reader.fields { name, reader throws(LeafError) in
                    switch name {
                    case "code": code = try reader.text()
                    case "message": message = try reader.text()
                    case "line": line = try reader.integer(Int.self)
                    default: try reader.skip()
                    }
                }
                if let code, let message { found = Self(code: code, message: message, line: line) }
            }
        }
        guard let found else { return nil }
        self = found
    }
}
