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

    func write(_ exchange: HTTPExchange, seconds: Double) {
        let path = String(exchange.path.prefix(200))
        let peer = exchange.peer.isEmpty ? "local" : exchange.peer
        let milliseconds = Int((seconds * 1000).rounded())
        switch format {
        case .text:
            let request = "\(exchange.methodName) \(path)"
            write("\(peer) \(request) \(exchange.outcome) \(exchange.sentBytes) bytes \(milliseconds) ms")
        case .json:
            let line: JSON = [
                "peer": .string(peer), "method": .string(exchange.methodName), "path": .string(path),
                "status": .integer(exchange.status?.rawValue ?? 0), "bytes": .integer(exchange.sentBytes),
                "seconds": .number(Double(milliseconds) / 1000), "gone": .bool(exchange.outcome == "gone"),
                "cut": .bool(exchange.outcome == "cut"),
            ]
            write(line.line)
        }
    }
}
