import LeafWire

/// What a form with a file says, as its parts come.
struct UploadForm {
    var byteCount = 0
    private(set) var ignored = UnknownFields()
    private var purpose: [UInt8]?
    private var fileName: String?
    private var part: String?

    private static let longestPurpose = 64
    private static let longestName = 255

    /// - Returns: bytes of the file.
    mutating func take(_ event: MultipartReader.Event) throws(ServedError) -> ArraySlice<UInt8>? {
        switch event {
        case .begin(let part):
            switch part.name {
            case "file":
                guard fileName == nil else { throw .badForm("it has two files; send one") }
                fileName = Self.label(part.fileName ?? "")
            case "purpose":
                guard purpose == nil else { throw .badForm("it has two purposes") }
                purpose = []
            default: ignored.add(part.name)
            }
            self.part = part.name
        case .bytes(let bytes):
            if part == "file" { return bytes }
            if part == "purpose" {
                purpose = (purpose ?? []) + bytes
                guard (purpose ?? []).count <= Self.longestPurpose else { throw .badPurpose }
            }
        case .end: part = nil
        }
        return nil
    }

    func record(_ id: String, _ owner: String, created: Int) throws(ServedError) -> FileRecord {
        guard let fileName else { throw ServedError.missing("file", "a file of requests, one a line") }
        guard let purpose else { throw ServedError.missing("purpose", "which is batch") }
        guard String(decoding: purpose, as: UTF8.self) == FileRecord.Purpose.batch.rawValue else { throw .badPurpose }
        guard byteCount > 0 else {
            throw ServedError(
                status: .badRequest, "'file' is empty; give one request a line", param: "file")
        }
        return FileRecord(
            id: id, owner: owner, name: fileName, purpose: .batch, byteCount: byteCount, created: created)
    }

    /// The last part of a path, whatever system's.
    private static func label(_ name: String) -> String {
        let last = name.split { $0 == "/" || $0 == "\\" }.last.map(String.init) ?? "requests.jsonl"
        var label = ""
        for character in last {
            guard label.utf8.count + character.utf8.count <= longestName else { break }
            label.append(character)
        }
        return label.isEmpty ? "requests.jsonl" : label
    }
}
