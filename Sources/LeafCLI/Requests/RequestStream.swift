import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

/// Requests that come one a line, from a file or a pipe.
///
/// A file is read twice: `survey` finds what is wrong and what the model must have room for before anything runs. What
/// can be read but once is planned for by `--context`.
final class RequestStream<Request> {
    enum Next {
        case request(Request)
        /// A line that makes no sense, where such are answered.
        case bad(id: JSON, LeafError)
        /// Nothing came in time.
        case later
        case end
    }

    /// What to plan for.
    struct Survey {
        /// Where the requests come from.
        let path: String
        var demands: DemandSurvey
        /// Requests; nil where nobody knows.
        var count: Int?
        /// Requests that are held at most: twice the number that share a sweep keeps every sweep full.
        let ahead: Int
        /// Bytes that the requests under way and the line that is read take at most.
        var bytes: Int
    }

    private let source: RequestSource
    private let reader: LineReader
    private let options: LineOptions
    private let terminal: Terminal
    private let parse: (LineCutter.Line) throws(LeafError) -> Request?
    /// Whether anything came, or nothing need come.
    private var isEmpty: Bool

    /// - Parameters:
    ///   - mayBeEmpty: whether an input without requests is in order.
    ///   - parse: nil for a line that asks for nothing.
    /// - Throws: `.io` if it cannot be opened.
    init(
        _ source: RequestSource, _ options: LineOptions, _ terminal: Terminal, mayBeEmpty: Bool = false,
        parse: @escaping (LineCutter.Line) throws(LeafError) -> Request?
    ) throws(LeafError) {
        isEmpty = !mayBeEmpty
        self.source = source
        reader = try LineReader(path: source.path, limit: WireRequest.byteLimit)
        if !reader.isRepeatable { reader.limit = options.pipeLineLimit }
        (self.options, self.terminal, self.parse) = (options, terminal, parse)
        if reader.isRepeatable, options.givenContext != nil {
            terminal.warn(
                "--context is for lines from a pipe; \(reader.name) is read first, and its lines take what they need")
        }
        if reader.isTerminal { terminal.note("reading lines; Ctrl-D ends them") }
    }

    var name: String { reader.name }

    /// Whether a file has a first line; a pipe may still bring one.
    func holdsSomething() throws(LeafError) -> Bool {
        guard reader.isRepeatable else { return true }
        defer { reader.rewind() }
        if case .end = try reader.next() { return false }
        return true
    }
    var isRepeatable: Bool { reader.isRepeatable }

    /// Reads all of a file, or plans for what may come.
    ///
    /// - Parameters:
    ///   - sequences: at the same time at most.
    ///   - unknown: what a request of a pipe may need, `context` positions long.
    ///   - demands: what a request needs.
    ///   - unknownAnswer: what the answer to a request of a pipe takes.
    ///   - answer: what the answer to a request takes.
    /// - Throws: `.usage` naming the first line that makes no sense, unless such are answered, or a file without any.
    func survey(
        sequences: Int, unknown: (_ context: Int) -> Demand, demands: (Request) -> [Demand],
        unknownAnswer: (_ context: Int) -> AnswerRoom, answer: (Request) -> AnswerRoom
    ) throws(LeafError) -> Survey {
        var survey = DemandSurvey(sequences: sequences)
        let ahead = 2 * sequences
        guard reader.isRepeatable else {
            let demand = unknown(options.context)
            for _ in 0..<max(1, sequences / max(1, demand.sequences)) { survey.add(demand) }
            return Survey(
                path: source.path, demands: survey, count: nil, ahead: ahead,
                bytes: bytes(
                    longest: reader.limit, positions: options.context, unknownAnswer(options.context), ahead: ahead))
        }
        var count = 0
        var room = AnswerRoom()
        reading: while true {
            switch try next(waiting: -1) {
            case .request(let request):
                count += 1
                for demand in demands(request) { survey.add(demand) }
                room.make(for: answer(request))
            case .bad: count += 1
            case .later: break
            case .end: break reading
            }
            try terminal.interrupt.check()
            terminal.progress.show(Progress("reading", count, "request"))
        }
        reader.rewind()
        return Survey(
            path: source.path, demands: survey, count: count, ahead: ahead,
            bytes: bytes(longest: reader.longestLine, positions: survey.longest, room, ahead: ahead))
    }

    /// A line, in an array that has grown, becomes a text of as many bytes, and an id of four bytes for each of them at
    /// most, in an array that has doubled, and without unknowns. Those under way keep the text and the ids, and what
    /// there is of their answers.
    private func bytes(longest: Int, positions: Int, _ room: AnswerRoom, ahead: Int) -> Int {
        2 << 16 +| 20 *| longest +| ahead *| (longest +| 8 *| positions +| room.held) +| room.written
            +| options.answers.bytes(room, longest: longest, ahead: ahead)
    }

    /// - Parameter milliseconds: how long to wait; -1 for as long as it takes.
    /// - Throws: `.usage` naming a line that makes no sense, unless such are answered, or an input without any line.
    func next(waiting milliseconds: Int32) throws(LeafError) -> Next {
        while true {
            switch try reader.next(waiting: milliseconds) {
            case .later: return .later
            case .end:
                guard !isEmpty else {
                    throw LeafError(.usage, "\(name) holds no requests; give one a line")
                }
                return .end
            case .value(let line):
                do throws(LeafError) {
                    guard !line.isTooLong else { throw tooLong(line) }
                    guard let request = try parse(line) else { continue }
                    isEmpty = false
                    return .request(request)
                } catch {
                    isEmpty = false
                    guard options.skipsBad else {
                        let advice = advice(for: line)
                        throw LeafError(
                            .usage, "\(name), line \(line.number): \(error)" + advice,
                            advice: advice.isEmpty ? .setting("skip_bad") : nil)
                    }
                    return .bad(id: id(of: line), LeafError(.usage, "line \(line.number): \(error)"))
                }
            }
        }
    }

    /// What to call a line that makes no sense.
    private func id(of line: LineCutter.Line) -> JSON {
        if source.isPlain { return .integer(line.number) }
        return line.isTooLong ? .null : RequestID.json(rescuedFrom: line.bytes, line: line.number)
    }

    /// What to say of a line that is no object: a plain list is not for `--requests`.
    private func advice(for line: LineCutter.Line) -> String {
        let first = line.bytes.first { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
        return source.isPlain || line.isTooLong || first == UInt8(ascii: "{")
            ? "" : "; --prompts takes a plain list, one text a line"
    }

    private func tooLong(_ line: LineCutter.Line) -> LeafError {
        LeafError(
            .usage,
            "it has \(ByteCount(bytes: line.byteCount)) and is longer than \(ByteCount(bytes: reader.limit))"
                + (reader.isRepeatable ? "" : "; --context says how long requests of a pipe may be"))
    }
}
