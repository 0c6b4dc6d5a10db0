import LeafFormat
import LeafGeneration
import LeafSystem

/// Bytes that an answer takes beside the model: part of the plan, since a wide one is larger than many a budget.
package struct AnswerRoom: Sendable, Equatable {
    /// From its first token until it is written.
    package var held: Int
    /// While it is written: one at a time is a tree of JSON, a line, and the same line as a text.
    package var written: Int
    /// As a line that waits for those of earlier requests.
    package var line: Int

    package init(held: Int = 0, written: Int = 0, line: Int = 0) {
        (self.held, self.written, self.line) = (held, written, line)
    }

    /// Of everything that is held and written.
    package var bytes: Int { held +| written }

    /// A node of a JSON tree.
    private static let node = MemoryLayout<JSON>.stride
    /// A number as text, in an array that has doubled and in a string.
    private static let digits = 3 * 26
    /// A number and what stands beside it in a line, at most.
    private static let number = 26
    /// The names of fields, and numbers of which there is one.
    private static let fields = 1024

    /// Room for this answer or any of those before.
    package mutating func make(for other: AnswerRoom) {
        held = max(held, other.held)
        written = max(written, other.written)
        line = max(line, other.line)
    }

    /// Of two parts of one answer.
    package static func + (a: AnswerRoom, b: AnswerRoom) -> AnswerRoom {
        AnswerRoom(held: a.held +| b.held, written: a.written +| b.written, line: a.line +| b.line)
    }

    /// Of generated texts.
    ///
    /// - Parameters:
    ///   - tokens: of each.
    ///   - logprobs: as in `GenerationOptions`.
    package static func generation(tokens: Int, samples: Int, logprobs: Int?) -> AnswerRoom {
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
    package static func scores(tokens: Int, ids: Int) -> AnswerRoom {
        AnswerRoom(
            held: 2 * MemoryLayout<TokenScore>.stride *| tokens +| 2 * MemoryLayout<Int32>.stride *| ids,
            written: 2 *| tokens *| (node + digits), line: fields +| 2 *| tokens *| number)
    }

    /// Of a vector, or of one for each token.
    package static func embedding(numbers: Int) -> AnswerRoom {
        AnswerRoom(
            held: numbers *| (2 * MemoryLayout<Float>.stride + node), written: numbers *| (2 * node + digits),
            line: fields +| numbers *| number)
    }

    /// Of a window of a text under way: its ids, those of its rows, and a score for each.
    package static func windowBytes(context: Int) -> Int { context *| (16 + 2 * MemoryLayout<TokenScore>.stride) }
}
