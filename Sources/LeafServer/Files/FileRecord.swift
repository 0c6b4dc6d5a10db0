import LeafFormat
import LeafSystem
import LeafWire

/// What is kept of a file that a client has sent, or that a batch has made, beside its bytes.
package struct FileRecord: Sendable {
    /// What files are for. Others are refused.
    enum Purpose: String {
        case batch
        case batchOutput = "batch_output"
    }

    package let id: String
    /// Whose it is: a digest of a key; empty where nobody is asked for one.
    let owner: String
    /// As the client calls it.
    package let name: String
    let purpose: Purpose
    package let byteCount: Int
    /// Seconds since 1970.
    let created: Int
    /// Files are listed in the order of these; 0 where an earlier server gave none.
    var number = 0

    /// What clients are told, as OpenAI has it.
    var json: JSON {
        [
            "id": .string(id), "object": "file", "bytes": .integer(byteCount), "created_at": .integer(created),
            "expires_at": .null, "filename": .string(name), "purpose": .string(purpose.rawValue),
            "status": "processed", "status_details": .null,
        ]
    }

    /// Whether it came before another one.
    func isOlder(than other: FileRecord) -> Bool {
        (number, created, id) < (other.number, other.created, other.id)
    }

    /// The same with its owner and its number, as it stands on the disk.
    var line: String { json.with("owner", .string(owner)).with("number", .integer(number)).line + "\n" }
}

extension FileRecord {
    /// - Throws: `.badInput` for anything that is no record.
    init(line: [UInt8]) throws(LeafError) {
        var (id, owner, name, purpose): (String?, String?, String?, String?)
        var (bytes, created, number): (Int?, Int?, Int?)
        try JSONReader.read(line[...]) { field, reader throws(LeafError) in
            switch field {
            case "id": id = try reader.text()
            case "owner": owner = try reader.text()
            case "filename": name = try reader.text()
            case "purpose": purpose = try reader.text()
            case "bytes": bytes = try reader.integer(Int.self)
            case "created_at": created = try reader.integer(Int.self)
            case "number": number = try reader.integer(Int.self)
            default: try reader.skip()
            }
        }
        guard let id, let owner, let name, let bytes, bytes >= 0, let created,
            let purpose = purpose.flatMap(Purpose.init(rawValue:))
        else { throw LeafError(.badInput, "it is no record of a file") }
        self.init(id: id, owner: owner, name: name, purpose: purpose, byteCount: bytes, created: created)
        self.number = number ?? 0
    }
}

/// Names that a server makes: nobody can guess them, and none of them leads out of a folder.
enum StoredID {
    static let (file, batch) = ("file-", "batch_")
    private static let length = 24

    static func make(_ prefix: String) -> String { prefix + AnswerDesk.randomID() }

    static func isMade(_ id: some StringProtocol, _ prefix: String) -> Bool {
        id.utf8.count == prefix.utf8.count + length && id.hasPrefix(prefix)
            && id.utf8.dropFirst(prefix.utf8.count).allSatisfy { byte in
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            }
    }
}

extension JSON {
    /// An object with one field more.
    func with(_ name: String, _ value: JSON) -> JSON {
        guard case .object(let fields) = self else { return self }
        return .object(fields + [(name, value)])
    }

    /// A page of a list, as OpenAI has it.
    ///
    /// - Parameter entries: each with its id.
    static func page(_ entries: [(id: String, json: JSON)], hasMore: Bool) -> JSON {
        [
            "object": "list", "data": .array(entries.map(\.json)),
            "first_id": entries.first.map { .string($0.id) } ?? .null,
            "last_id": entries.last.map { .string($0.id) } ?? .null, "has_more": .bool(hasMore),
        ]
    }
}
