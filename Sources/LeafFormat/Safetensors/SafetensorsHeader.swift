package import LeafSystem

/// The header of a safetensors file: names, types, shapes and offsets of its tensors, and free strings.
///
/// The file is an 8-byte little-endian length, that many bytes of JSON, and the data. The tensors must cover the data
/// from the first byte to the last, without hole or overlap.
package struct SafetensorsHeader: Sendable, Equatable {
    /// Ascending by offset; offsets are from the start of the file.
    package var tensors: [TensorEntry]
    package var metadata: [String: String]
    /// The offset of the data: 8 bytes plus the JSON.
    package var dataOffset: Int

    /// No more JSON than this is read: that of the 10B model has 1.6 million bytes, with its padding.
    package static let maximumBytes = 16 << 20
    /// More axes than any tensor has here.
    static let maximumRank = 16

    /// A bound on the heap bytes while a header is read and a model is put together from it: a record of the chunk
    /// table of 28 bytes becomes 270, a tensor of 49 bytes 290.
    ///
    /// - Parameter byteCount: of the JSON.
    package static func heapBound(byteCount: Int) -> Int { 12 * byteCount + 1 << 16 }

    /// Reads and checks the header of a safetensors file.
    ///
    /// - Parameters:
    ///   - most: bytes of the JSON.
    ///   - allowance: has to hold the header with what is made of it.
    /// - Throws: `.badInput` naming the fault and where it is; `.io` if reading fails; `.budget`.
    package init(
        reading file: InputFile, atMost most: Int = maximumBytes, _ allowance: inout HeapAllowance
    ) throws(LeafError) {
        try self.init(
            json: try Self.json(of: file, atMost: most, &allowance), fileBytes: file.byteCount, path: file.path)
    }

    /// The JSON of a file's header, with its padding.
    ///
    /// - Parameters:
    ///   - most: bytes of the JSON.
    ///   - allowance: has to hold the header with what is made of it.
    /// - Throws: `.badInput`, `.io`, `.budget`.
    static func json(
        of file: InputFile, atMost most: Int = maximumBytes, _ allowance: inout HeapAllowance
    ) throws(LeafError) -> [UInt8] {
        guard file.byteCount >= 8 else {
            throw LeafError(.badInput, "\(file.path) has \(file.byteCount.of("byte")), too few for a safetensors file")
        }
        let beginning = try file.bytes(at: 0, count: min(file.byteCount, ForeignFile.beginningBytes))
        if let sentence = ForeignFile.sentence(for: beginning) {
            throw LeafError(.badInput, "\(file.path) \(sentence)")
        }
        let length = beginning.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length >= 2, length <= UInt64(most), Int(length) <= file.byteCount - 8 else {
            throw LeafError(
                .badInput,
                "\(file.path) promises a header of \(length) bytes in a file of \(file.byteCount); "
                    + "it is not a safetensors file, or it is cut off")
        }
        try allowance.take(heapBound(byteCount: Int(length)), for: "its header", of: file.path)
        return try file.bytes(at: 8, count: Int(length))
    }

    /// Checks a header.
    ///
    /// - Parameters:
    ///   - json: all bytes between the length and the data.
    ///   - fileBytes: the size of the whole file.
    ///   - path: the file's name, for messages.
    package init(json: [UInt8], fileBytes: Int, path: String) throws(LeafError) {
        // The padding may be as long as the table, and the decoder need not scan it.
        let end = json.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? 0
        let table: SafetensorsTable
        do throws(SafetensorsTable.Fault) {
            table = try SafetensorsTable(json[0..<end])
        } catch {
            throw LeafError(
                .badInput,
                "the header of \(path) is not a safetensors table (\(error.reason), at byte \(error.position))")
        }
        dataOffset = 8 + json.count
        metadata = table.metadata
        tensors = []
        tensors.reserveCapacity(table.entries.count)
        // The decoder keeps no order. Of several faults, report the first in the file.
        for entry in table.entries.sorted(by: { ($0.range.first ?? 0, $0.name) < ($1.range.first ?? 0, $1.name) }) {
            tensors.append(try Self.check(entry, dataOffset: dataOffset, fileBytes: fileBytes, path: path))
        }
        tensors.sort { ($0.offset, $0.byteCount, $0.name) < ($1.offset, $1.byteCount, $1.name) }
        // Exact coverage also finds a name that occurs twice in the JSON, because its second range is missing here.
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
                .badInput,
                "\(path) has \(fileBytes.of("byte")), but its tensors end at \(covered); it is cut off or damaged"
            )
        }
    }

    private static func check(
        _ entry: SafetensorsTable.Entry, dataOffset: Int, fileBytes: Int, path: String
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
}

extension SafetensorsHeader {
    /// The first bytes of a file, up to its data: the length, the JSON, and spaces behind it.
    ///
    /// - Parameters: as below.
    ///   - count: bytes of all, more if that is too few; nil for the next multiple of 8.
    package static func bytes(
        metadata: [(String, String)], tensors: [TensorEntry], count: Int? = nil
    ) -> [UInt8] {
        let json = json(metadata: metadata, tensors: tensors)
        let end = max(count ?? 0, (8 + json.count).roundedUp(to: count == nil ? 8 : 1))
        let length = withUnsafeBytes(of: UInt64(end - 8).littleEndian) { Array($0) }
        return length + json + repeatElement(UInt8(ascii: " "), count: end - 8 - json.count)
    }

    /// The JSON of a header, without the length before it and the padding after it.
    ///
    /// - Parameters:
    ///   - metadata: in the order of the file.
    ///   - tensors: ascending and without holes; offsets are from the start of the data.
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
