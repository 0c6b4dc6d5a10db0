import LeafFormat
package import LeafSystem

/// The table of a zip archive whose entries are stored as they are, as torch writes them, with or without zip64.
///
/// Packed and encrypted entries are refused, so nothing grows when it is read. Nothing is held but names, sizes and
/// offsets; an entry's bytes are read from the archive's file, where they lie.
///
/// - Source: PKWARE's APPNOTE.TXT 6.3, sections 4.3 and 4.5.3.
package struct ZipArchive: Sendable {
    package struct Entry: Sendable {
        package let byteCount: Int
        /// The CRC-32; nil if torch did not compute it and wrote 0.
        let checksum: UInt32?
        /// Where the entry's own header begins, in front of its bytes.
        fileprivate let header: Int
    }

    package let entries: [String: Entry]
    let file: InputFile
    /// Where the central directory begins, behind all entries.
    private let directory: Range<Int>

    /// That of the largest released checkpoint has 600 entries, in 50 KB.
    private static let maximumEntries = 1 << 14
    private static let maximumDirectoryBytes = 4 << 20
    /// Heap bytes for each byte of the table while it is read, and after.
    private static let heapBytesPerByte = 4

    var path: String { file.path }

    /// Reads the table.
    ///
    /// - Parameter allowance: has to hold the table.
    /// - Throws: `.badInput` if the file is not a whole zip archive, or has packed or encrypted entries; `.io`;
    ///   `.budget`.
    package init(_ file: InputFile, _ allowance: inout HeapAllowance) throws(LeafError) {
        self.file = file
        let end = try ZipEnd(file)
        directory = end.directory
        guard end.entryCount <= Self.maximumEntries, directory.count <= Self.maximumDirectoryBytes else {
            throw LeafError(.badInput, "\(file.path) has \(end.entryCount) entries, too many for a checkpoint")
        }
        try allowance.take(Self.heapBytesPerByte * directory.count, for: "its table of entries", of: file.path)
        let bytes = try file.bytes(at: directory.lowerBound, count: directory.count)
        var entries: [String: Entry] = [:]
        var offset = 0
        var promised = 0
        var packed: String?
        var weights: String?
        for _ in 0..<end.entryCount {
            guard let record = ZipRecord(bytes[offset...]) else { throw Self.damage(file.path, "its table is damaged") }
            offset += record.byteCount
            // None of torch's own entries has such an ending.
            if SourceFolder.endsAsWeights(record.name) { weights = weights ?? record.name }
            guard record.isPlain else {
                packed = packed ?? record.name
                continue
            }
            // Entries do not share bytes: together they are no more than the file.
            guard let sum = promised.adding(record.size), sum <= file.byteCount else {
                throw LeafError(
                    .badInput,
                    "\(file.path): entry \(record.name) promises \(record.size) bytes, more than the file has")
            }
            promised = sum
            let entry = Entry(
                byteCount: record.size, checksum: record.checksum == 0 ? nil : record.checksum, header: record.header)
            guard entries.updateValue(entry, forKey: record.name) == nil else {
                throw LeafError(.badInput, "\(file.path): entry \(record.name) is there twice")
            }
        }
        guard offset == bytes.count else { throw Self.damage(file.path, "its table is damaged") }
        if let weights, !entries.keys.contains(where: { $0.hasSuffix("/data.pkl") }) {
            throw LeafError(.badInput, "\(file.path) is an archive with \(weights) inside; unzip it and give that file")
        }
        if let packed {
            throw LeafError(
                .badInput,
                "\(file.path): entry \(packed) is packed or encrypted, which torch never does; save it by torch.save")
        }
        self.entries = entries
    }

    fileprivate static func damage(_ path: String, _ reason: String) -> LeafError {
        LeafError(.badInput, "\(path) is not a whole zip archive (\(reason)); get the file again")
    }

    /// Where the bytes of an entry lie in the file; nil if there is no such entry.
    package func storage(_ name: String) throws(LeafError) -> TensorStorage? {
        guard let entry = entries[name] else { return nil }
        // The entry's own header repeats the name, but may have other extra fields than the table.
        let headerBytes = 30
        if let end = entry.header.adding(headerBytes), end <= directory.lowerBound {
            let header = try file.bytes(at: entry.header, count: headerBytes)
            let nameBytes = Array(name.utf8)
            let begin = end + Int(header.little(26, UInt16.self)) + Int(header.little(28, UInt16.self))
            if header.little(0, UInt32.self) == 0x0403_4B50, header.little(8, UInt16.self) == 0,
                Int(header.little(26, UInt16.self)) == nameBytes.count, begin <= directory.lowerBound,
                entry.byteCount <= directory.lowerBound - begin,
                try file.bytes(at: end, count: nameBytes.count) == nameBytes
            {
                return TensorStorage(file, begin: begin, byteCount: entry.byteCount, checksum: entry.checksum)
            }
        }
        throw LeafError(
            .badInput,
            "\(path): entry \(name) cannot be read (it is not where the table says); get the file again")
    }

    /// All bytes of a small entry, compared with their checksum.
    ///
    /// - Throws: `.badInput` if it has more than `most`, is not there or damaged; `.io`.
    package func bytes(of name: String, atMost most: Int) throws(LeafError) -> [UInt8] {
        guard let storage = try storage(name) else {
            throw LeafError(.badInput, "\(path): entry \(name) is not there")
        }
        guard storage.byteCount <= most else {
            throw LeafError(
                .badInput, "\(path): entry \(name) has \(storage.byteCount.sizeText), too much for a table")
        }
        let bytes = try file.bytes(at: storage.begin, count: storage.byteCount)
        guard storage.checksum == nil || storage.checksum == bytes.withUnsafeBytes({ Checksum($0).value }) else {
            throw LeafError(
                .badInput, "\(path): entry \(name) cannot be read (it fails its checksum); get the file again")
        }
        return bytes
    }
}

/// The end of an archive: how many entries there are, and where their table lies.
private struct ZipEnd {
    private(set) var entryCount: Int
    private(set) var directory: Range<Int>

    private static let byteCount = 22
    private static let longestComment = 0xFFFF
    private static let locatorBytes = 20
    private static let wideByteCount = 56

    init(_ file: InputFile) throws(LeafError) {
        let tailBytes = min(file.byteCount, Self.byteCount + Self.longestComment)
        let tail = try file.bytes(at: file.byteCount - tailBytes, count: tailBytes)
        // The last record whose comment ends with the file.
        let starts = stride(from: tailBytes - Self.byteCount, through: 0, by: -1)
        guard
            let start = starts.first(where: {
                tail.little($0, UInt32.self) == 0x0605_4B50
                    && $0 + Self.byteCount + Int(tail.little($0 + 20, UInt16.self)) == tailBytes
            })
        else { throw ZipArchive.damage(file.path, "it has no end") }
        let record = file.byteCount - tailBytes + start
        var end = record
        var count = UInt64(tail.little(start + 10, UInt16.self))
        var size = UInt64(tail.little(start + 12, UInt32.self))
        var offset = UInt64(tail.little(start + 16, UInt32.self))
        var disks = [
            UInt32(tail.little(start + 4, UInt16.self)), UInt32(tail.little(start + 6, UInt16.self)),
        ]
        if let (wide, begin) = try Self.wideRecord(file, before: record) {
            // What does not fit the narrow record is all ones there.
            guard count == 0xFFFF || count == wide.little(32, UInt64.self),
                size == 0xFFFF_FFFF || size == wide.little(40, UInt64.self),
                offset == 0xFFFF_FFFF || offset == wide.little(48, UInt64.self)
            else { throw ZipArchive.damage(file.path, "its two ends do not agree") }
            count = wide.little(32, UInt64.self)
            size = wide.little(40, UInt64.self)
            offset = wide.little(48, UInt64.self)
            disks = [wide.little(16, UInt32.self), wide.little(20, UInt32.self)]
            end = begin
        }
        guard disks.allSatisfy({ $0 == 0 }) else {
            throw ZipArchive.damage(file.path, "it is a part of several")
        }
        guard size <= UInt64(end), offset <= UInt64(end) - size, count <= size else {
            throw ZipArchive.damage(file.path, "its table lies outside")
        }
        entryCount = Int(count)
        directory = Int(offset)..<Int(offset + size)
    }

    /// The zip64 record, and where it begins; nil if there is none.
    private static func wideRecord(
        _ file: InputFile, before end: Int
    ) throws(LeafError) -> (bytes: [UInt8], begin: Int)? {
        guard end >= locatorBytes else { return nil }
        let locator = try file.bytes(at: end - locatorBytes, count: locatorBytes)
        guard locator.little(0, UInt32.self) == 0x0706_4B50 else { return nil }
        let begin = locator.little(8, UInt64.self)
        if end - locatorBytes >= wideByteCount, begin <= UInt64(end - locatorBytes - wideByteCount) {
            let bytes = try file.bytes(at: Int(begin), count: wideByteCount)
            if bytes.little(0, UInt32.self) == 0x0606_4B50 { return (bytes, Int(begin)) }
        }
        throw ZipArchive.damage(file.path, "its zip64 end is not where it says")
    }
}

/// One entry of the table.
private struct ZipRecord {
    let name: String
    /// Of the record itself.
    let byteCount: Int
    let size: Int
    let checksum: UInt32
    /// Where the entry's own header begins.
    let header: Int
    /// Whether its bytes lie in the file as they are.
    let isPlain: Bool

    private static let fixedBytes = 46

    /// nil for what no program wrote.
    init?(_ rest: ArraySlice<UInt8>) {
        guard rest.count >= Self.fixedBytes else { return nil }
        let fixed = Array(rest.prefix(Self.fixedBytes))
        let (nameBytes, extraBytes, commentBytes) = (
            Int(fixed.little(28, UInt16.self)), Int(fixed.little(30, UInt16.self)), Int(fixed.little(32, UInt16.self))
        )
        byteCount = Self.fixedBytes + nameBytes + extraBytes + commentBytes
        guard fixed.little(0, UInt32.self) == 0x0201_4B50, byteCount <= rest.count else { return nil }
        let variable = rest.dropFirst(Self.fixedBytes)
        name = String(decoding: variable.prefix(nameBytes), as: UTF8.self)
        checksum = fixed.little(16, UInt32.self)
        // What does not fit 32 bits is all ones, and stands in the zip64 field, in this order.
        var numbers = [24, 20, 42].map { UInt64(fixed.little($0, UInt32.self)) }
        if numbers.contains(0xFFFF_FFFF) {
            var wide = Self.wideField(variable.dropFirst(nameBytes).prefix(extraBytes))
            for index in numbers.indices where numbers[index] == 0xFFFF_FFFF {
                guard wide.count >= 8 else { return nil }
                numbers[index] = Array(wide.prefix(8)).little(0, UInt64.self)
                wide = wide.dropFirst(8)
            }
        }
        guard let size = Int(exactly: numbers[0]), let header = Int(exactly: numbers[2]) else { return nil }
        self.size = size
        self.header = header
        let isEncrypted = fixed.little(8, UInt16.self) & 0x2041 != 0
        isPlain = fixed.little(10, UInt16.self) == 0 && !isEncrypted && numbers[1] == numbers[0]
    }

    /// The contents of the zip64 field among extra ones; empty if there is none.
    private static func wideField(_ extra: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var rest = extra
        while rest.count >= 4 {
            let head = Array(rest.prefix(4))
            let contents = rest.dropFirst(4).prefix(Int(head.little(2, UInt16.self)))
            if head.little(0, UInt16.self) == 1 { return contents }
            rest = rest[contents.endIndex...]
        }
        return []
    }
}

extension [UInt8] {
    /// A little-endian number at an offset that is inside.
    fileprivate func little<Value: FixedWidthInteger>(_ offset: Int, _: Value.Type) -> Value {
        self[offset..<offset + MemoryLayout<Value>.size].reversed().reduce(0) { $0 << 8 | Value($1) }
    }
}
