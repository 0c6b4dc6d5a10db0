package import LeafFormat
package import LeafGeneration
import LeafTokenizer
package import Leafcutter

/// What one text with blanks became, as JSON.
package struct FillAnswer {
    private let text: BlankText
    private let request: FillRequest
    private let filling: Filling
    private let model: Model
    private let loadSeconds: Double?

    /// - Parameters:
    ///   - request: what the text became.
    ///   - loadSeconds: nil for one of many answers, which leave the facts of the process to a summary.
    package init(
        _ text: BlankText, _ request: FillRequest, _ filling: Filling, _ model: Model, loadSeconds: Double?
    ) {
        (self.text, self.request, self.filling) = (text, request, filling)
        (self.model, self.loadSeconds) = (model, loadSeconds)
    }

    /// - Parameters:
    ///   - id: stands in front, for answers that come in any order.
    ///   - prompt: the text with its blanks, where it is to be seen beside its answer.
    package func json(id: JSON? = nil, echoing prompt: String? = nil) -> JSON {
        .object(
            Self.result(text, request, filling, id: id, echoing: prompt) + [("timing", timing)]
                + (loadSeconds == nil ? [] : [("memory", .memory(model)), ("io", .io(model))]))
    }

    /// What the text, its options and its seed decide: the same bytes whenever and wherever it is filled.
    ///
    /// - Parameter id: the first field.
    package static func result(
        _ text: BlankText, _ request: FillRequest, _ filling: Filling, id: JSON? = nil, echoing prompt: String? = nil
    ) -> [(key: String, value: JSON)] {
        (id.map { [("id", $0)] } ?? []) + (prompt.map { [("prompt", .string($0))] } ?? []) + [
            ("text", .string(text.filled(with: filling.blanks.map(\.text)))), ("ids", .ids(filling.ids)),
            ("blanks", .array(filling.blanks.map(json))), ("seed", .unsigned(filling.seed)),
        ] + request.context.unknown.fields
    }

    /// Of what `result` consists.
    package static let shape = ValueShape.object(
        [
            "id": .id, "text": .text, "ids": .list(.count), "seed": .count,
            "blanks": .list(.object(["start": .count, "ids": .list(.count), "text": .text, "logprob": .number])),
        ], possible: UnknownCharacters.shape)

    private static func json(_ blank: Filling.Blank) -> JSON {
        [
            "start": .integer(blank.start), "ids": .ids(blank.ids), "text": .string(blank.text),
            "logprob": .number(blank.logprob),
        ]
    }

    private var timing: JSON {
        .timing(
            load: loadSeconds, wait: filling.waitSeconds, prefill: filling.prefillSeconds,
            decode: filling.decodeSeconds, decoded: filling.tokenCount - 1, sweeps: filling.sweeps)
    }
}
