import LeafFormat
import LeafSystem

/// One line for each request that is over, and for what the server's owner should know beside them.
package struct AccessLog: Sendable {
    package enum Format: String, Sendable, CaseIterable {
        case text, json
    }

    private let format: Format
    private let write: @Sendable (String) -> Void

    /// - Parameter write: takes a line without its end.
    package init(_ format: Format, write: @escaping @Sendable (String) -> Void) {
        (self.format, self.write) = (format, write)
    }

    /// Writes what is not of one request, and the server's owner should know.
    package func warn(_ sentence: String) {
        switch format {
        case .text: write("warning: \(sentence.printable)")
        case .json:
            let line: JSON = ["warning": .string(sentence)]
            write(line.line)
        }
    }

    /// A request that is over.
    struct Entry {
        let peer: String
        /// As it was sent; nil for a request that never became whole.
        let asked: (method: String, path: String)?
        /// The name under which it is counted.
        let route: String
        let status: HTTPStatus?
        /// What became of it, as it is counted.
        let outcome: String
        /// Of the answer, without its head.
        let bytes: Int
        let seconds: Double
    }

    func write(_ entry: Entry) {
        let path = entry.asked.map { String($0.path.prefix(200)) }
        let peer = entry.peer.isEmpty ? "local" : entry.peer
        let milliseconds = Int((entry.seconds * 1000).rounded())
        switch format {
        case .text:
            let request = "\(entry.asked?.method ?? "-") \(path ?? "-")"
            write("\(peer) \(request) \(entry.outcome) \(entry.bytes) bytes \(milliseconds) ms")
        case .json:
            let line: JSON = [
                "peer": .string(peer), "method": entry.asked.map { .string($0.method) } ?? .null,
                "path": path.map { .string($0) } ?? .null, "route": .string(entry.route),
                "status": .integer(entry.status?.rawValue ?? 0), "bytes": .integer(entry.bytes),
                "seconds": .number(Double(milliseconds) / 1000), "gone": .bool(entry.outcome == "gone"),
                "cut": .bool(entry.outcome == "cut"),
            ]
            write(line.line)
        }
    }
}
