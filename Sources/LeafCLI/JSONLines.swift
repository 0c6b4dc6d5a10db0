import FoundationEssentials
import Leafcutter

/// A file of one JSON object a line, read as it is wanted; empty lines are left out.
struct JSONLines {
    /// One line that holds something.
    struct Line {
        /// In the file, from 1.
        let number: Int
        fileprivate let bytes: ArraySlice<UInt8>

        /// - Parameter userInfo: what the type's decoding wants to know.
        /// - Throws: `.usage` for what is no such value.
        func decode<Value: Decodable>(
            _ userInfo: [CodingUserInfoKey: any Sendable] = [:]
        ) throws(LeafError) -> Value {
            let decoder = JSONDecoder()
            decoder.userInfo = userInfo
            do {
                return try decoder.decode(Value.self, from: Data(bytes))
            } catch {
                throw error as? LeafError ?? LeafError(.usage, "\(DecodingProblem(error))")
            }
        }
    }

    private static let pieceBytes = 1 << 16
    private static let longestLine = 64 << 20

    private let file: InputFile
    /// What was read and not handed out.
    private var pending: ArraySlice<UInt8> = []
    private var offset = 0
    private var number = 0
    private var isEmpty = true

    init(path: String) throws(LeafError) { file = try InputFile(path: path) }

    /// What the next line becomes; nil after the last one.
    ///
    /// - Throws: `.usage` naming the line if `transform` refuses it, or if the file holds none.
    mutating func next<Value>(_ transform: (Line) throws(LeafError) -> Value) throws(LeafError) -> Value? {
        while let bytes = try nextBytes() {
            number += 1
            guard !bytes.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) else { continue }
            isEmpty = false
            do throws(LeafError) {
                return try transform(Line(number: number, bytes: bytes))
            } catch {
                throw LeafError(.usage, "\(file.path), line \(number): \(error)")
            }
        }
        guard !isEmpty else {
            throw LeafError(.usage, "\(file.path) holds no requests; give one JSON object a line")
        }
        return nil
    }

    /// What all lines become.
    ///
    /// - Throws: `.usage` naming the first line that `transform` refuses, or if there is none.
    func map<Value>(_ transform: (Line) throws(LeafError) -> Value) throws(LeafError) -> [Value] {
        var lines = self
        var values: [Value] = []
        while let value = try lines.next(transform) { values.append(value) }
        return values
    }

    /// Up to the next line break.
    private mutating func nextBytes() throws(LeafError) -> ArraySlice<UInt8>? {
        var searched = 0
        while true {
            if let end = pending.dropFirst(searched).firstIndex(of: UInt8(ascii: "\n")) {
                defer { pending = pending[(end + 1)...] }
                return pending[..<end]
            }
            guard offset < file.byteCount else {
                defer { pending = [] }
                return pending.isEmpty ? nil : pending
            }
            guard pending.count < Self.longestLine else {
                throw LeafError(
                    .usage, "\(file.path), line \(number + 1) is longer than \(ByteCount(bytes: Self.longestLine))")
            }
            searched = pending.count
            let count = min(Self.pieceBytes, file.byteCount - offset)
            pending += try file.bytes(at: offset, count: count)
            offset += count
        }
    }
}

extension RequestLine.ID {
    var json: JSONText {
        switch self {
        case .text(let text): .string(text)
        case .number(let number): .integer(number)
        }
    }
}
