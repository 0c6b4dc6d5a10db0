import Foundation
import LeafFormat
import LeafImport
import LeafSystem

/// A zip archive of stored entries, written the plainest way; each field can be bent.
struct Archive {
    struct Entry {
        let name: String
        let contents: [UInt8]
        var method: UInt16 = 0
        var flags: UInt16 = 0
        /// What the table says of size and offset, where it is not the truth.
        var size: UInt64?
        var header: UInt64?
        /// Whether the sizes and the offset stand in a zip64 field.
        var isWide = false

        init(_ name: String, _ contents: [UInt8]) {
            self.name = name
            self.contents = contents
        }
    }

    var entries: [Entry]
    var comment: [UInt8] = []
    /// Whether a zip64 record alone says where the end is.
    var isWide = false
    /// What the end says of the number of entries, and of where the table begins, where it is not the truth.
    var count: UInt64?
    var table: UInt64?

    init(_ entries: [Entry]) { self.entries = entries }

    var bytes: [UInt8] {
        var file: [UInt8] = []
        var table: [UInt8] = []
        for entry in entries {
            let offset = UInt64(file.count)
            let name = Array(entry.name.utf8)
            let sum = Self.checksum(entry.contents)
            file += little(UInt32(0x0403_4B50)) + little(UInt16(20)) + little(entry.flags) + little(entry.method)
            file += little(UInt32(0)) + little(sum) + little(UInt32(entry.contents.count))
            file += little(UInt32(entry.contents.count)) + little(UInt16(name.count)) + little(UInt16(6)) + name
            // An extra field that only this header has.
            file += [0x46, 0x42, 2, 0, 0, 0] + entry.contents
            let numbers = [entry.size ?? UInt64(entry.contents.count), entry.header ?? offset]
            let fields = entry.isWide ? [UInt32.max, .max] : numbers.map { UInt32($0) }
            let wide = entry.isWide ? little(numbers[0]) + little(numbers[0]) + little(numbers[1]) : []
            let extra = entry.isWide ? [0x46, 0x42, 0, 0, 1, 0] + little(UInt16(wide.count)) + wide : []
            table += little(UInt32(0x0201_4B50)) + little(UInt16(20)) + little(UInt16(20)) + little(entry.flags)
            table += little(entry.method) + little(UInt32(0)) + little(sum) + little(fields[0]) + little(fields[0])
            table += little(UInt16(name.count)) + little(UInt16(extra.count)) + little(UInt16(0))
            table += little(UInt16(0)) + little(UInt16(0)) + little(UInt32(0)) + little(fields[1]) + name + extra
        }
        let begin = self.table ?? UInt64(file.count)
        let count = self.count ?? UInt64(entries.count)
        file += table
        if isWide {
            let record = UInt64(file.count)
            file += little(UInt32(0x0606_4B50)) + little(UInt64(44)) + little(UInt16(45)) + little(UInt16(45))
            file += little(UInt32(0)) + little(UInt32(0)) + little(count) + little(count)
            file += little(UInt64(table.count)) + little(begin)
            file += little(UInt32(0x0706_4B50)) + little(UInt32(0)) + little(record) + little(UInt32(1))
        }
        file += little(UInt32(0x0605_4B50)) + little(UInt16(0)) + little(UInt16(0))
        let short = isWide ? UInt16.max : UInt16(truncatingIfNeeded: count)
        file += little(short) + little(short) + little(isWide ? UInt32.max : UInt32(table.count))
        file += little(isWide ? UInt32.max : UInt32(truncatingIfNeeded: begin))
        return file + little(UInt16(comment.count)) + comment
    }

    /// CRC-32, a bit at a time.
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(UInt32.max) { sum, byte in
            (0..<8).reduce(sum ^ UInt32(byte)) { sum, _ in sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
        }
    }
}

func little(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

/// A state dict as torch pickles it.
struct StateDict {
    struct Tensor {
        let name: String
        var type = "FloatStorage"
        /// Of the storage.
        var bytes: [UInt8]
        var count: Int
        var offset = 0
        var shape: [Int]
        var strides: [Int]

        /// Row-major floats.
        init(_ name: String, _ numbers: [Float], shape: [Int]) {
            self.name = name
            bytes = numbers.flatMap { little($0.bitPattern) }
            count = numbers.count
            self.shape = shape
            strides = shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
        }
    }

    var tensors: [Tensor]

    /// The archive of `torch.save`.
    var archive: Archive {
        var pickle: [UInt8] = [0x80, 2] + Array("}(".utf8)
        for (number, tensor) in tensors.enumerated() {
            pickle += Self.text(tensor.name) + Array("ctorch._utils\n_rebuild_tensor_v2\n((".utf8)
            pickle += Self.text("storage") + Array("ctorch\n\(tensor.type)\n".utf8) + Self.text("\(number)")
            pickle += Self.text("cpu") + Self.integer(tensor.count) + Array("tQ".utf8) + Self.integer(tensor.offset)
            for sizes in [tensor.shape, tensor.strides] {
                pickle += Array("(".utf8) + sizes.flatMap(Self.integer) + Array("t".utf8)
            }
            pickle += [0x89] + Array("ccollections\nOrderedDict\n)RtR".utf8)
        }
        pickle += Array("u.".utf8)
        return Archive(
            [.init("archive/data.pkl", pickle)]
                + tensors.enumerated().map { .init("archive/data/\($0)", $1.bytes) } + [
                    .init("archive/version", [0x33])
                ])
    }

    static func text(_ string: String) -> [UInt8] {
        [0x58] + little(UInt32(string.utf8.count)) + Array(string.utf8)
    }

    private static func integer(_ value: Int) -> [UInt8] { [0x8A, 8] + little(Int64(value)) }
}

extension [UInt8] {
    func write(to path: String) throws { try Data(self).write(to: URL(filePath: path)) }
}
