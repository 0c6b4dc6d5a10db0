import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

/// Bytes that an answer takes beside the model: part of the plan, since a wide one is larger than many a budget.
struct AnswerRoom: Equatable {
    /// From its first token until it is written.
    var held = 0
    /// While it is written: one at a time is a tree of JSON, a line, and the same line as a text.
    var written = 0
    /// As a line that waits for those of earlier requests.
    var line = 0

    /// Of everything that is held and written.
    var bytes: Int { held +| written }

    /// A node of a JSON tree.
    private static let node = MemoryLayout<JSON>.stride
    /// A number as text, in an array that has doubled and in a string.
    private static let digits = 3 * 26
    /// A number and what stands beside it in a line, at most.
    private static let number = 26
    /// The names of fields, and numbers of which there is one.
    private static let fields = 1024

    /// Room for this answer or any of those before.
    mutating func make(for other: AnswerRoom) {
        held = max(held, other.held)
        written = max(written, other.written)
        line = max(line, other.line)
    }

    /// Of generated texts.
    ///
    /// - Parameters:
    ///   - tokens: of each.
    ///   - logprobs: as in `GenerationOptions`.
    static func generation(tokens: Int, samples: Int, logprobs: Int?) -> AnswerRoom {
        // An id, its text, and an array of the best for each token; an object of two fields for each of those.
        let entry = MemoryLayout<TokenLogprobs.Entry>.stride
        let best = logprobs.map { $0 +| 1 }
        let held = 64 +| (best.map { 128 +| $0 *| entry } ?? 0)
        let written = 2 * node +| digits +| (best.map { $0 *| (32 + 2 * (16 + node) + node + digits + 3 * 20) } ?? 0)
        let line = number + 64 +| (best.map { 64 +| $0 *| 64 } ?? 0)
        // The best text is written twice where there are several.
        return AnswerRoom(
            held: tokens *| samples *| held, written: tokens *| (samples +| 1) *| written,
            line: (samples +| 1) *| (fields +| tokens *| line))
    }

    /// Of the scores of so many tokens.
    ///
    /// - Parameter ids: of all texts that one line makes: each option of a choice has the input in front.
    static func scores(tokens: Int, ids: Int) -> AnswerRoom {
        AnswerRoom(
            held: 2 * MemoryLayout<TokenScore>.stride *| tokens +| 2 * MemoryLayout<Int32>.stride *| ids,
            written: 2 *| tokens *| (node + digits), line: fields +| 2 *| tokens *| number)
    }

    /// Of a vector, or of one for each token.
    static func embedding(numbers: Int) -> AnswerRoom {
        AnswerRoom(
            held: numbers *| (2 * MemoryLayout<Float>.stride + node), written: numbers *| (2 * node + digits),
            line: fields +| numbers *| number)
    }

    /// Of a window of a text under way: its ids, those of its rows, and a score for each.
    static func windowBytes(context: Int) -> Int { context *| (16 + 2 * MemoryLayout<TokenScore>.stride) }
}
