import Glibc
package import LeafExecutor
package import LeafFormat
import LeafSystem
package import LeafWire
package import Leafcutter

/// Turns bodies into requests, without sockets. It keeps nothing between two bodies, and any thread may call it.
package struct AnswerDesk: Sendable {
    /// Routes that take a body.
    package enum Route: String, CaseIterable, Sendable {
        case completions = "/v1/completions"
        case chat = "/v1/chat/completions"
        case embeddings = "/v1/embeddings"
        case fill = "/v1/fill"
        case score = "/v1/score"
        case tokenize = "/tokenize"
        case detokenize = "/detokenize"

        /// The field with the text that the model goes on from; nil where there are several.
        fileprivate var textField: String? {
            switch self {
            case .completions, .tokenize: "prompt"
            case .chat: "messages"
            case .embeddings: "input"
            case .fill: "text"
            case .score: nil
            case .detokenize: "tokens"
            }
        }
    }

    /// What requests call their text below HTTP.
    private static let modelsText = "prompt"

    package struct Settings: Sendable {
        /// What holds for requests that say nothing about it.
        package var defaults = WireRequest.Defaults()
        /// The name of the model, by which it is listed and answers where a request gives none.
        package var modelName = OpenAIEnvelope.usualModel
        /// Bytes that one request may take beside the model at most, its answer included.
        package var mostBytes = Int.max
        /// Sequences of one request on a sweep at most; a text with more samples goes alone.
        package var mostSequences = Int.max
        /// Makes the part of an answer's id that no other answer has.
        package var makeID: @Sendable () -> String = { AnswerDesk.randomID() }
        /// Seconds since 1970.
        package var now: @Sendable () -> Int = { AnswerDesk.secondsNow() }

        package init() {}
    }

    let file: ModelFile
    let capacity: Demand
    let settings: Settings
    /// When the model was there.
    private let opened: Int

    /// - Parameters:
    ///   - file: the model, with the adapters and soft prompts that requests may name.
    ///   - capacity: for which it is opened (`Model.capacity`).
    package init(_ file: ModelFile, capacity: Demand, _ settings: Settings = Settings()) {
        (self.file, self.capacity, self.settings) = (file, capacity, settings)
        opened = settings.now()
    }

    /// What a body asks for.
    ///
    /// Reads, cuts and checks it, which takes a tenth of a second for the longest texts.
    ///
    /// - Parameter body: all of it.
    package func request(_ route: Route, body: ArraySlice<UInt8>) throws(ServedError) -> ServedRequest {
        do throws(LeafError) {
            switch route {
            case .completions: return try completions(body)
            case .chat: return try chat(body)
            case .embeddings: return try embeddings(body)
            case .fill: return try fill(body)
            case .score: return try score(body)
            case .tokenize: return try tokenize(body)
            case .detokenize: return try detokenize(body)
            }
        } catch {
            // Nobody outside learns where files lie.
            let sentence = error.description.replacing(file.leaf.path.printable, with: "the model")
            let field = error.field == Self.modelsText ? route.textField : error.field
            throw ServedError(LeafError(error.kind == .badInput ? .usage : error.kind, sentence, field: field))
        }
    }

    // MARK: What is asked without a body

    /// `GET /v1/models`
    package var models: JSON { ["object": "list", "data": [modelEntry]] }

    /// `GET /v1/models/{id}`
    ///
    /// - Throws: 404 for another name than that of the model.
    package func model(_ id: String) throws(ServedError) -> JSON {
        guard id == settings.modelName else {
            throw ServedError(
                status: .notFound, "there is no model of this name; there is \(settings.modelName)", param: "model",
                code: "model_not_found")
        }
        return modelEntry
    }

    /// `GET /openapi.json`: all routes, those of the HTTP layer among them, as JSON text.
    package static var openAPI: String { OpenAPI.document }

    private var modelEntry: JSON {
        [
            "id": .string(settings.modelName), "object": "model", "created": .integer(opened),
            "owned_by": "leafcutter",
        ]
    }

    private static let idDigits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

    static func randomID() -> String { String((0..<24).map { _ in idDigits.randomElement() ?? "0" }) }
    package static func secondsNow() -> Int { time(nil) }

    // MARK: What all requests share

    /// What every request holds, and what every answer has around it.
    static let bytesOfAny = 1 << 13

    /// Sequences of one request on a sweep at most.
    var mostSequences: Int { max(1, min(capacity.sequences, settings.mostSequences)) }

    func envelope(_ model: String?) -> OpenAIEnvelope {
        OpenAIEnvelope(id: settings.makeID(), created: settings.now(), model: model ?? settings.modelName)
    }

    /// Whether the model can carry out a part at all.
    ///
    /// - Parameter field: says how many texts there are at once; nil where none does.
    /// - Throws: `.usage` for what makes no sense, `.tooLong` with the limit.
    func check(_ part: AnyRequest, texts field: String? = nil) throws(LeafError) {
        let configuration = file.configuration
        try part.validate(for: configuration)
        if case .fill(let request) = part {
            // Each length of each blank is tried, so what is too long is refused before they are counted.
            var whole = Demand.nothing
            whole.longest = request.blanks.reduce(request.context.length(in: configuration)) { sum, blank in
                sum +| (blank.length ?? request.longest)
            }
            if let refusal = whole.refusal(by: capacity) { throw refusal }
        }
        for demand in part.demands(in: configuration) {
            guard demand.sequences <= capacity.sequences else {
                throw LeafError(
                    .usage,
                    "\(demand.sequences) texts at once are more than the \(capacity.sequences) for which there is "
                        + "room; ask for fewer", field: field)
            }
            if let refusal = demand.refusal(by: capacity) { throw refusal }
        }
    }

    /// A request whose parts were checked.
    ///
    /// - Parameter unknown: characters of its texts that the vocabulary lacks.
    /// - Throws: `.usage` for one that takes more memory than there may be.
    func served(
        _ parts: [AnyRequest], isStream: Bool, ignored: UnknownFields, unknown: Int, _ room: AnswerRoom,
        _ work: @escaping ServedRequest.Work
    ) throws(LeafError) -> ServedRequest {
        guard room.bytes <= settings.mostBytes else {
            throw LeafError(
                .usage,
                "the request and its answer take up to \(room.bytes.sizeText), more than the "
                    + "\(settings.mostBytes.sizeText) that one may; ask for fewer texts, tokens or log-probabilities")
        }
        let widths = parts.map { Carrier.width(of: $0, in: file.configuration) }
        let sequences = max(widths.max() ?? 0, min(mostSequences, widths.reduce(0, +|)))
        return ServedRequest(
            isStream: isStream, ignored: ignored, unknown: unknown, sequences: sequences, room: room,
            work: work)
    }

    /// Bytes that one request takes at most beside a model that is opened for so much, if it asks for the widest text:
    /// every sequence as long as the context, with as many log-probabilities as there may be. `settings.mostBytes` may
    /// be less on a small budget; what needs more is refused.
    ///
    /// - Parameter bodyBytes: of the longest body.
    package static func widestRoom(context: Int, sequences: Int, bodyBytes: Int) -> AnswerRoom {
        let body = AnswerRoom(held: bytesOfAny +| 8 *| bodyBytes, written: bytesOfAny)
        return body + .generation(tokens: context, samples: sequences, logprobs: OpenAILogprobs.most)
    }
}
