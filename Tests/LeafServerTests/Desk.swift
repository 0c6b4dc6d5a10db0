import Dispatch
import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafImport
import LeafServer
import LeafSystem
import LeafWire
import Leafcutter
import Synchronization

/// The demo model, opened, and a desk for it.
final class Desk: Sendable {
    /// With rows of logits for a whole text, and with few of them.
    static let shared = Result { try Desk(logitRows: 60) }
    static let narrow = Result { try Desk(logitRows: 5) }

    private struct Converted {
        let folder: TemporaryDirectory
        let path: String
    }

    private static let converted: Result<Converted, any Error> = Result {
        let folder = try TemporaryDirectory()
        var options = ConversionOptions()
        options.weights = .int8
        let path = folder.path("demo.leaf")
        _ = try Converter(source: Golden.demoModel.path, output: path, options: options).run()
        // What is static is never released.
        atexit { try? FileManager.default.removeItem(at: Desk.converted.get().folder.url) }
        return Converted(folder: folder, path: path)
    }

    static let sequences = 4
    static let context = 160

    let model: Model
    let desk: AnswerDesk

    private init(logitRows: Int) throws {
        var options = ModelOptions(memory: .gibibytes(1), threads: 2)
        options.capacity = Demand(
            context: Self.context * Self.sequences, longest: Self.context, logitRows: logitRows,
            sequences: Self.sequences)
        model = try Model(ModelFile(path: Self.converted.get().path), options)
        desk = AnswerDesk(model.file, capacity: model.capacity, Self.settings)
    }

    static var settings: AnswerDesk.Settings {
        var settings = AnswerDesk.Settings()
        settings.makeID = { "x" }
        settings.now = { 5 }
        settings.mostBytes = 64 << 20
        return settings
    }

    /// Everything that a body gives.
    struct Answers {
        let request: ServedRequest
        let chunks: [Object]
        /// Tokens that were generated, as they were told.
        let tokens: Int
        /// Nil behind a stream.
        let whole: Object?
    }

    func request(_ route: AnswerDesk.Route, _ body: String) throws(ServedError) -> ServedRequest {
        try desk.request(route, body: Array(body.utf8)[...])
    }

    /// Carries a body out, and waits for its last event.
    func answers(
        _ route: AnswerDesk.Route, _ body: String, _ cancellation: Cancellation = Cancellation(),
        cancelsAtFirstChunk: Bool = false
    ) throws -> Answers {
        let request = try request(route, body)
        let events = Mutex<(chunks: [JSON], tokens: Int, last: [Result<JSON?, LeafError>])>(([], 0, []))
        let done = DispatchSemaphore(value: 0)
        try request.begin(on: model, cancellation) { event in
            switch event {
            case .chunk(let chunk):
                events.withLock { $0.chunks.append(chunk) }
                if cancelsAtFirstChunk { cancellation.cancel() }
            case .tokens(let count): events.withLock { $0.tokens += count }
            case .progress: break
            case .finished(let result):
                events.withLock { $0.last.append(result) }
                done.signal()
            }
        }
        done.wait()
        // Nothing comes behind the last event.
        model.engine.queue.sync {}
        let (chunks, tokens, last) = events.withLock { $0 }
        guard last.count == 1 else { throw Failure(description: "\(last.count) last events") }
        return Answers(
            request: request, chunks: try chunks.map { try Object($0) }, tokens: tokens,
            whole: try last[0].get().map { try Object($0) })
    }

    func whole(_ route: AnswerDesk.Route, _ body: String) throws -> Object {
        guard let whole = try answers(route, body).whole else { throw Failure(description: "no whole answer") }
        return whole
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}

/// A value of JSON, to look into.
struct Object: Equatable, CustomStringConvertible {
    /// Nil for what is not there.
    private let json: JSON?

    /// - Throws: unless what is written is JSON to others as well.
    init(_ json: JSON) throws {
        _ = try JSONSerialization.jsonObject(with: Data(json.line.utf8), options: .fragmentsAllowed)
        self.json = json
    }

    init(_ text: String) throws {
        var reader = JSONReader(Array(text.utf8)[...])
        try self.init(Self.read(&reader))
        try reader.end()
    }

    private init(part: JSON?) { json = part }

    private static func read(_ reader: inout JSONReader) throws(LeafError) -> JSON {
        switch try reader.kind() {
        case .null: return try reader.takeNull() ? .null : .null
        case .bool: return .bool(try reader.bool())
        case .number: return .number(try reader.number())
        case .text: return .string(try reader.text())
        case .list:
            var values: [JSON] = []
            try reader.list { reader throws(LeafError) in values.append(try read(&reader)) }
            return .array(values)
        case .object:
            var fields: [(key: String, value: JSON)] = []
            try reader.object { name, reader throws(LeafError) in fields.append((name, try read(&reader))) }
            return .object(fields)
        }
    }

    var line: String { json?.line ?? "nothing" }
    var description: String { line }
    static func == (a: Object, b: Object) -> Bool { a.line == b.line }

    subscript(_ name: String) -> Object { fields[name] ?? Object(part: nil) }
    subscript(_ index: Int) -> Object {
        let list = list
        return list.indices.contains(index) ? list[index] : Object(part: nil)
    }

    var list: [Object] {
        if case .array(let values)? = json { values.map { Object(part: $0) } } else { [] }
    }
    var fields: [String: Object] {
        guard case .object(let fields)? = json else { return [:] }
        return Dictionary(fields.map { ($0.key, Object(part: $0.value)) }) { first, _ in first }
    }
    var text: String? { if case .string(let text)? = json { text } else { nil } }
    var number: Double? { if case .number(let number)? = json { number } else { nil } }
    var integer: Int? {
        switch json {
        case .integer(let number)?: number
        case .unsigned(let number)?: Int(exactly: number)
        default: nil
        }
    }
    var isNull: Bool { if case .null? = json { true } else { false } }
    var isMissing: Bool { json == nil }
    var ids: [Int32] { list.compactMap { $0.integer.map { Int32($0) } } }
    var numbers: [Double?] { list.map(\.number) }
}
