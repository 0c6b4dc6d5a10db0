import Glibc
package import LeafFormat
import LeafSystem
import LeafWire
package import Leafcutter

/// One line for each request that is over, and for what the server's owner should know beside them.
package struct AccessLog: Sendable {
    package enum Format: String, Sendable, CaseIterable {
        case text, json
    }

    private let format: Format
    private let write: @Sendable (String) -> Void
    private let warnInWords: @Sendable (String) -> Void

    /// - Parameters:
    ///   - warn: takes a sentence of warning, where lines are for people.
    ///   - write: takes a line without its end.
    package init(
        _ format: Format, warn: @escaping @Sendable (String) -> Void = { _ in },
        write: @escaping @Sendable (String) -> Void
    ) {
        (self.format, self.write, warnInWords) = (format, write, warn)
    }

    /// A moment as lines have it: RFC 3339, in UTC.
    ///
    /// - Parameter milliseconds: since 1970.
    package static func text(ofTime milliseconds: Int) -> String {
        var (seconds, parts) = (milliseconds / 1000, tm())
        gmtime_r(&seconds, &parts)
        func digits(_ value: some BinaryInteger, _ count: Int = 2) -> String {
            String(repeating: "0", count: max(0, count - "\(value)".count)) + "\(value)"
        }
        let day = "\(digits(parts.tm_year + 1900, 4))-\(digits(parts.tm_mon + 1))-\(digits(parts.tm_mday))"
        let time = "\(digits(parts.tm_hour)):\(digits(parts.tm_min)):\(digits(parts.tm_sec))"
        return "\(day)T\(time).\(digits(milliseconds % 1000, 3))Z"
    }

    private static var now: String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return text(ofTime: time.tv_sec * 1000 + time.tv_nsec / 1_000_000)
    }

    /// Writes what is not of one request, and the server's owner should know.
    package func warn(_ sentence: String) {
        switch format {
        case .text: warnInWords(sentence)
        case .json: write(Self.line("warning", .string(sentence)))
        }
    }

    /// Writes what has become of the server.
    ///
    /// - Parameters:
    ///   - sentence: for people.
    ///   - name: of the field that says the same to programs.
    package func tell(_ sentence: String, as name: String, _ value: JSON) {
        switch format {
        case .text: write(sentence)
        case .json: write(Self.line(name, value))
        }
    }

    /// Writes what drafts have come to since the model was opened; nothing where nothing was drafted.
    package func tellDrafts(of model: Model) {
        let drafts = DraftTally(model.speculation)
        if let sentence = drafts.sentence(model) { tell(sentence, as: "speculation", drafts.total(model)) }
    }

    private static func line(_ name: String, _ value: JSON) -> String {
        JSON.object([("time", .string(now)), (name, value)]).line
    }

    /// A request that is over.
    struct Entry {
        /// What the request is called, as its answer says.
        let id: String
        let peer: String
        /// As it was sent; nil for a request that never became whole.
        let asked: (method: String, path: String)?
        /// The name under which it is counted.
        let route: String
        let status: HTTPStatus?
        let outcome: HTTPOutcome
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
            let answer = "\(entry.outcome.word) \(entry.bytes) bytes \(milliseconds) ms"
            write("\(Self.now) \(peer) \(request) \(answer) \(entry.id)")
        case .json:
            let line: JSON = [
                "time": .string(Self.now), "id": .string(entry.id), "peer": .string(peer),
                "method": entry.asked.map { .string($0.method) } ?? .null,
                "path": path.map { .string($0) } ?? .null, "route": .string(entry.route),
                "status": .integer(entry.status?.rawValue ?? 0), "bytes": .integer(entry.bytes),
                "seconds": .number(Double(milliseconds) / 1000), "gone": .bool(entry.outcome == .gone),
                "cut": .bool(entry.outcome == .cut),
            ]
            write(line.line)
        }
    }
}
