import Foundation
import GoldenSupport
import LeafFormat
import LeafSystem
import Testing

@Suite("Session files") struct SessionFileTests {
    private static let frameBytes = 256 << 10

    private let folder: TemporaryDirectory
    private let path: String
    /// No test here pulls the plug.
    private var calls = WriteCalls()

    init() throws {
        folder = try TemporaryDirectory()
        path = folder.path("a.session")
        calls.synchronize = { _ in 0 }
    }

    private func write(_ contents: [UInt8], by part: Int = .max) throws {
        let output = try OutputFile(path: path, calls: calls)
        try output.truncate(to: 0)
        let writer = try SessionWriter(output)
        var rest = contents[...]
        while !rest.isEmpty {
            try rest.prefix(part).withUnsafeBytes { try writer.append($0) }
            rest = rest.dropFirst(part)
        }
        try writer.finish()
        #expect(writer.byteCount == (try InputFile(path: path)).byteCount)
    }

    private func read(_ count: Int, by part: Int = .max) throws -> [UInt8] {
        let reader = try SessionReader(InputFile(path: path))
        var contents: [UInt8] = []
        while contents.count < count {
            var bytes = [UInt8](repeating: 0, count: min(part, count - contents.count))
            try bytes.withUnsafeMutableBytes { try reader.read(into: $0) }
            contents += bytes
        }
        try reader.finish()
        return contents
    }

    /// Half of it random, half of it not.
    private func contents(_ count: Int) -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        return (0..<count).map { $0 < count / 2 ? .random(in: .min ... .max, using: &random) : UInt8($0 >> 12 & 1) }
    }

    @Test(arguments: [0, 1, 4056, 4057, frameBytes - 1, frameBytes, frameBytes + 1, 3 * frameBytes + 17])
    func contentsComeBackInPartsOfAnySize(count: Int) throws {
        let contents = contents(count)
        for part in [Int.max, 1000, Self.frameBytes / 3] {
            try write(contents, by: part)
            #expect(try read(count) == contents)
            #expect(try read(count, by: 777) == contents)
        }
    }

    @Test func numbersAndTextsAreLittleEndianAndUTF8() throws {
        let output = try OutputFile(path: path, calls: calls)
        let writer = try SessionWriter(output)
        try writer.append(UInt32(0x0102_0304))
        try writer.append([7, -1] as [Int32])
        try writer.append("楼")
        try writer.append(-1.5)
        try writer.finish()
        #expect(
            try read(31) == [4, 3, 2, 1, 2, 0, 0, 0, 7, 0, 0, 0, 255, 255, 255, 255, 3, 0, 0, 0, 230, 165, 188]
                + [0, 0, 0, 0, 0, 0, 0xF8, 0xBF])
        let reader = try SessionReader(InputFile(path: path))
        #expect(try reader.integer() as UInt32 == 0x0102_0304)
        #expect(try reader.ids(atMost: 2) == [7, -1])
        #expect(try reader.text(atMost: 3) == "楼")
        #expect(try reader.double() == -1.5)
        try reader.finish()
    }

    @Test func whatIsLongerThanItMayBeIsRefused() throws {
        try write([3, 0, 0, 0, 1, 2, 3])
        #expect(throws: LeafError.self) { try SessionReader(InputFile(path: path)).ids(atMost: 2) }
        #expect(throws: LeafError.self) { try SessionReader(InputFile(path: path)).ids(atMost: 3) }
        try write([2, 0, 0, 0, 0xFF, 0xFE])
        #expect(throws: LeafError.self) { try SessionReader(InputFile(path: path)).text(atMost: 2) }
    }

    /// Three frames of which two are packed: every byte of headers, contents and padding.
    @Test func everyChangedByteAndEveryTruncationIsRefused() throws {
        let contents = [UInt8](repeating: 9, count: 2 * Self.frameBytes) + (0..<100).map { UInt8($0) }
        try write(contents)
        let whole = try Data(contentsOf: URL(filePath: path))
        #expect(whole.count == 3 * 4096)
        let file = try FileHandle(forUpdating: URL(filePath: path))
        func expectRefusal(_ what: String) {
            let error = #expect(throws: LeafError.self, "\(what)") { try read(contents.count) }
            #expect(error?.kind == .badInput, "\(what)")
            #expect(error?.description.hasPrefix(path) == true, "\(what)")
        }
        for offset in whole.indices {
            try file.seek(toOffset: UInt64(offset))
            try file.write(contentsOf: [whole[offset] ^ 1 << UInt8.random(in: 0..<8)])
            expectRefusal("byte \(offset)")
            try file.seek(toOffset: UInt64(offset))
            try file.write(contentsOf: [whole[offset]])
        }
        #expect(try read(contents.count) == contents)
        for count in whole.indices.reversed() {
            try file.truncate(atOffset: UInt64(count))
            expectRefusal("\(count) bytes")
        }
        try (whole + whole.suffix(4096)).write(to: URL(filePath: path))
        expectRefusal("a frame twice")
    }

    @Test func anotherVersionIsNamed() throws {
        try write([1])
        var bytes = try Data(contentsOf: URL(filePath: path))
        bytes[8] = 9
        try bytes.write(to: URL(filePath: path))
        let error = #expect(throws: LeafError.self) { try read(1) }
        #expect(error?.description.contains("format version 9") == true)
    }
}
