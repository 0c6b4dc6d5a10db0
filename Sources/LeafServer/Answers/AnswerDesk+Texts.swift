import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter

/// Texts to turn into vectors, to fill, to score: one answer, once all parts have theirs.
extension AnswerDesk {
    /// - Throws: `.usage` and `.tooLong`.
    func embeddings(_ body: ArraySlice<UInt8>) throws(LeafError) -> ServedRequest {
        var reader = JSONReader(body)
        let input = try EmbeddingsInput(&reader, settings.defaults.embed, at: .server)
        try reader.end()
        let requests = try input.requests(for: file)
        let tokens = requests.reduce(0) { $0 + $1.text.ids.count }
        var room = AnswerRoom(held: Self.bytesOfAny + 16 *| tokens, written: Self.bytesOfAny)
        for _ in requests { room = room + .embedding(numbers: file.configuration.dimModel) }
        let unknown = requests.reduce(0) { $0 + $1.text.unknown.count }
        return try served(
            requests.map { .embed($0) }, ignored: input.ignored, unknown: unknown, room
        ) { [settings] answers, _ in
            input.answer(answers.map(\.vector), tokens: tokens, model: settings.modelName)
        }
    }

    /// - Throws: `.usage` and `.tooLong`.
    func fill(_ body: ArraySlice<UInt8>) throws(LeafError) -> ServedRequest {
        let input = try FillInput(json: body, settings.defaults.fill, at: .server)
        let request = try input.request(for: file)
        let positions = request.context.ids.count +| request.blanks.reduce(0) { $0 +| ($1.length ?? request.longest) }
        var room = AnswerRoom(held: Self.bytesOfAny + 2 *| input.source.utf8.count, written: Self.bytesOfAny)
        room = room + .generation(tokens: positions, samples: 1, logprobs: nil)
        let (id, text) = (input.id?.json, input.text)
        let unknown = request.context.unknown.count
        return try served([.fill(request)], ignored: input.ignored, unknown: unknown, room) { answers, model in
            guard case .filling(let filling)? = answers.first else { return .null }
            return FillAnswer(text, request, filling, model, loadSeconds: nil).json(id: id)
        }
    }

    /// - Throws: `.usage` and `.tooLong`.
    func score(_ body: ArraySlice<UInt8>) throws(LeafError) -> ServedRequest {
        let input = try ScoreInput(json: body, settings.defaults.score, at: .server)
        let question = try input.question(for: file, id: input.id?.json, longest: capacity.longest)
        let tokens = question.texts.reduce(0) { $0 +| $1.target.count }
        let ids = question.texts.reduce(tokens) { $0 +| $1.context.ids.count }
        let room = AnswerRoom(held: Self.bytesOfAny, written: Self.bytesOfAny) + .scores(tokens: tokens, ids: ids)
        let parts = question.parts(logitRows: capacity.logitRows)
        let unknown = question.unknown.count
        return try served(parts.map { .score($0) }, ignored: input.ignored, unknown: unknown, room) { answers, _ in
            question.answer(parts: answers.map(\.scores))
        }
    }

    /// - Parameter answer: makes the answer of those of all parts.
    private func served(
        _ parts: [AnyRequest], ignored: UnknownFields, unknown: Int, _ room: AnswerRoom,
        _ answer: @escaping @Sendable (_ answers: [AnyRequest.Answer], _ model: Model) -> JSON
    ) throws(LeafError) -> ServedRequest {
        for part in parts { try check(part) }
        return try served(
            parts, isStream: false, ignored: ignored, unknown: unknown, room
        ) { [mostSequences] model, cancellation, tell throws(LeafError) in
            try Carrier.answer(
                parts, on: model, mostSequences: mostSequences, cancellation,
                heard: { if $0.tokens > 0 { tell(.tokens($0.tokens)) } }, progress: { tell(.progress($0)) },
                end: { found in tell(.finished(found.map { answer($0, model) })) })
        }
    }
}
