import FoundationEssentials

/// What stands at the beginning of a safetensors file: names, types, shapes and places of its tensors, and free strings.
///
/// The file is an 8-byte little-endian length, that many bytes of JSON, and the data, which the tensors must cover from
/// the first byte to the last without hole or overlap.
package struct SafetensorsHeader: Sendable, Equatable {
    /// Ascending by offset; offsets count from the start of the file.
    package var tensors: [TensorEntry]
    package var metadata: [String: String]
    /// Where the data begin: 8 bytes and the JSON.
    package var dataOffset: Int

    /// No more JSON than this is read, as in the reference implementation.
    package static let maximumBytes = 100_000_000
    /// More axes than any tensor here has.
    private static let maximumRank = 16

    /// Reads and checks the header of a safetensors file.
    ///
    /// - Throws: `.badInput` naming what is wrong and where; `.io` when reading fails.
    package init(reading file: InputFile) throws(LeafError) {
        guard file.byteCount >= 8 else {
            throw LeafError(.badInput, "\(file.path) has \(file.byteCount) bytes, too few for a safetensors file")
        }
        let prefix = try file.bytes(at: 0, count: 8)
        let length = prefix.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length >= 2, length <= UInt64(Self.maximumBytes), Int(length) <= file.byteCount - 8 else {
            throw LeafError(
                .badInput,
                "\(file.path) promises a header of \(length) bytes in a file of \(file.byteCount); "
                    + "it is not a safetensors file, or it is cut off")
        }
        let json = try file.bytes(at: 8, count: Int(length))
        try self.init(json: json, fileBytes: file.byteCount, path: file.path)
    }

    /// Checks a header.
    ///
    /// - Parameters:
    ///   - json: everything between the length and the data.
    ///   - fileBytes: of the whole file.
    ///   - path: for messages.
    package init(json: [UInt8], fileBytes: Int, path: String) throws(LeafError) {
        // The padding may be as long as the table; the decoder need not look at it.
        let end = json.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? 0
        let table: HeaderTable
        do {
            table = try JSONDecoder().decode(HeaderTable.self, from: Data(json[0..<end]))
        } catch {
            throw LeafError(.badInput, "the header of \(path) is not a safetensors table (\(Self.explain(error)))")
        }
        dataOffset = 8 + json.count
        metadata = table.metadata
        tensors = []
        tensors.reserveCapacity(table.entries.count)
        // The decoder keeps no order; of several faults the first in the file is told.
        for entry in table.entries.sorted(by: { ($0.range.first ?? 0, $0.name) < ($1.range.first ?? 0, $1.name) }) {
            tensors.append(try Self.check(entry, dataOffset: dataOffset, fileBytes: fileBytes, path: path))
        }
        tensors.sort { ($0.offset, $0.byteCount, $0.name) < ($1.offset, $1.byteCount, $1.name) }
        // Exact coverage also catches a name that stands twice in the JSON: its second range is missing here.
        var covered = dataOffset
        for tensor in tensors {
            guard tensor.offset == covered else {
                let fault = tensor.offset < covered ? "overlaps the one before it" : "leaves a hole before it"
                throw LeafError(.badInput, "\(path): tensor \(tensor.name) \(fault), at offset \(tensor.offset)")
            }
            covered += tensor.byteCount
        }
        guard covered == fileBytes else {
            throw LeafError(
                .badInput, "\(path) has \(fileBytes) bytes, but its tensors end at \(covered); it is cut off or damaged"
            )
        }
    }

    private static func check(
        _ entry: HeaderTable.Entry, dataOffset: Int, fileBytes: Int, path: String
    ) throws(LeafError) -> TensorEntry {
        func fault(_ what: String) -> LeafError { LeafError(.badInput, "\(path): tensor \(entry.name) \(what)") }

        guard let type = TensorEntry.ElementType(rawValue: entry.type) else {
            throw fault("has the element type \(entry.type), which is not known here")
        }
        guard entry.shape.count <= maximumRank, entry.shape.allSatisfy({ $0 >= 0 }) else {
            throw fault("has the impossible shape \(entry.shape)")
        }
        var bytes = type.byteCount
        for size in entry.shape {
            guard let product = bytes.multiplied(by: size) else {
                throw fault("has the impossible shape \(entry.shape)")
            }
            bytes = product
        }
        guard entry.range.count == 2, entry.range[0] >= 0, entry.range[0] <= entry.range[1],
            entry.range[1] <= fileBytes - dataOffset
        else {
            throw fault("lies outside the file, at \(entry.range); the file is cut off or damaged")
        }
        guard entry.range[1] - entry.range[0] == bytes else {
            throw fault("takes \(entry.range[1] - entry.range[0]) bytes, but its shape \(entry.shape) needs \(bytes)")
        }
        return TensorEntry(
            name: entry.name, type: type, shape: entry.shape, offset: dataOffset + entry.range[0], byteCount: bytes)
    }

    private static func explain(_ error: any Error) -> String {
        switch error as? DecodingError {
        case .keyNotFound(let key, let context): "\(key.stringValue) is missing in \(name(context))"
        case .typeMismatch(_, let context), .valueNotFound(_, let context): "wrong type of \(name(context))"
        default: "broken JSON"
        }
    }

    private static func name(_ context: DecodingError.Context) -> String {
        context.codingPath.isEmpty ? "the table" : context.codingPath.map(\.stringValue).joined(separator: ".")
    }
}

extension SafetensorsHeader {
    /// The JSON of a header, without the length in front and the padding behind.
    ///
    /// - Parameters:
    ///   - metadata: in the order in which it is to stand in the file.
    ///   - tensors: ascending and without holes; offsets count from the start of the data.
    package static func json(metadata: [(String, String)], tensors: [TensorEntry]) -> [UInt8] {
        var json: [UInt8] = []
        json.reserveCapacity(tensors.count * 160 + metadata.reduce(0) { $0 + $1.1.utf8.count } + 1024)
        json.append(UInt8(ascii: "{"))
        json += "\"__metadata__\":{".utf8
        for (index, (key, value)) in metadata.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            JSON.write(key, to: &json)
            json.append(UInt8(ascii: ":"))
            JSON.write(value, to: &json)
        }
        json.append(UInt8(ascii: "}"))
        for tensor in tensors {
            json.append(UInt8(ascii: ","))
            JSON.write(tensor.name, to: &json)
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            let end = tensor.offset + tensor.byteCount
            json +=
                ":{\"dtype\":\"\(tensor.type.rawValue)\",\"shape\":[\(shape)],\"data_offsets\":[\(tensor.offset),\(end)]}"
                .utf8
        }
        json.append(UInt8(ascii: "}"))
        return json
    }
}

/// The JSON object of a header, as it stands there.
private struct HeaderTable: Decodable {
    struct Entry {
        var name: String
        var type: String
        var shape: [Int]
        var range: [Int]
    }

    var metadata: [String: String] = [:]
    var entries: [Entry] = []

    private struct Name: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private struct Description: Decodable {
        var dtype: String
        var shape: [Int]
        var range: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype
            case shape
            case range = "data_offsets"
        }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Name.self)
        entries.reserveCapacity(container.allKeys.count)
        for key in container.allKeys {
            if key.stringValue == "__metadata__" {
                metadata = try container.decode([String: String].self, forKey: key)
            } else {
                let entry = try container.decode(Description.self, forKey: key)
                entries.append(
                    Entry(name: key.stringValue, type: entry.dtype, shape: entry.shape, range: entry.range))
            }
        }
    }
}
