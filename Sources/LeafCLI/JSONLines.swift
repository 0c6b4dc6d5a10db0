import FoundationEssentials
import Leafcutter

/// A file of one JSON object a line; empty lines are left out.
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

    private let path: String
    private let lines: [Line]

    init(path: String) throws(LeafError) {
        self.path = path
        let file = try InputFile(path: path)
        let bytes = try file.bytes(at: 0, count: file.byteCount)
        lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
            .filter { !$1.allSatisfy { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") } }
            .map { Line(number: $0 + 1, bytes: $1) }
    }

    /// What each line becomes.
    ///
    /// - Throws: `.usage` naming the first line that `transform` refuses, or if there is none.
    func map<Value>(_ transform: (Line) throws(LeafError) -> Value) throws(LeafError) -> [Value] {
        guard !lines.isEmpty else {
            throw LeafError(.usage, "\(path) holds no requests; give one JSON object a line")
        }
        var values: [Value] = []
        for line in lines {
            do throws(LeafError) {
                values.append(try transform(line))
            } catch {
                throw LeafError(.usage, "\(path), line \(line.number): \(error)")
            }
        }
        return values
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
