import LeafFormat
import LeafGeneration
package import LeafSystem
import LeafWire
import Leafcutter

/// Lines that others answer, on other machines perhaps: they are handed out one after another, and their answers are
/// taken in any order. A line whose answer never comes is asked again by whoever knows that, or in another run.
extension BatchJob {
    /// Shared, so that its set is changed where it is, and never copied.
    final class Handout {
        let lines: JobLines
        /// Lines that were handed out, and what is known of the answers that have not come.
        var given: LineSet
        var open: [Int: AnswerShape] = [:]
        /// Why nothing more is handed out or taken.
        var failure: LeafError?

        init(_ lines: JobLines, last: Int) {
            self.lines = lines
            given = LineSet(lines: last)
        }
    }

    /// The next line that has no answer; one that makes no sense is answered at once. `check` comes before.
    ///
    /// - Returns: nil behind the last one.
    /// - Throws: `.io` when the file cannot be read, or an answer not be written.
    package func handOut() throws(LeafError) -> LineRequest? {
        let handout = try opened()
        var failure: LeafError?
        let next = try nextItem(of: handout.lines, Cancellation()) { answer, name in
            do throws(LeafError) {
                try log.append(answer, line: name.line, isFailure: true)
                note(name.line, isFailure: true, tokens: 0)
            } catch {
                failure = failure ?? error
            }
        }
        if let failure {
            handout.failure = failure
            throw failure
        }
        guard let next else { return nil }
        let name = next.item.name
        _ = handout.given.insert(name.line)
        handout.open[name.line] = AnswerShape(of: next.item)
        return LineRequest(
            line: name.line, seed: seed(of: name), origin: JobRecord.digest(of: origin), request: next.bytes)
    }

    /// Takes the answer to a line that was handed out. It is on the disk when `flush` has returned, and soon anyway.
    ///
    /// - Returns: false if the line has this answer already.
    /// - Throws: `.usage` for a line that was not handed out, or what the job itself would not write, `.badInput` for a
    ///   line that has another answer, which the job keeps, `.io` when it cannot be written; then nothing more is
    ///   taken.
    package func take(_ answer: LineAnswer) throws(LeafError) -> Bool {
        let handout = try opened()
        guard handout.given.contains(answer.line) else {
            throw LeafError(.usage, "line \(answer.line) was not handed out, and so it takes no answer")
        }
        let bytes = Array(answer.answer.utf8) + [UInt8(ascii: "\n")]
        do throws(LeafError) {
            guard !done.contains(answer.line) else {
                let isSame = try log.holds(bytes, line: answer.line, isFailure: answer.isFailure)
                guard isSame else { throw differs(answer) }
                return false
            }
            try check(answer, handout.open[answer.line])
            try log.append(bytes, line: answer.line, isFailure: answer.isFailure)
        } catch {
            if error.kind == .io { handout.failure = error }
            throw error
        }
        handout.open[answer.line] = nil
        note(answer.line, isFailure: answer.isFailure, tokens: answer.tokens)
        return true
    }

    /// - Throws: `.usage` for what the job itself would not write.
    private func check(_ answer: LineAnswer, _ shape: AnswerShape?) throws(LeafError) {
        guard let shape else {
            throw LeafError(.usage, "this is no answer to line \(answer.line), which waits for none")
        }
        do throws(LeafError) {
            try shape.check(answer)
        } catch {
            throw LeafError(
                .usage,
                "this is no answer to line \(answer.line): \(error); pass on what the model gave as it is")
        }
    }

    private func differs(_ answer: LineAnswer) -> LeafError {
        LeafError(
            .badInput,
            "line \(answer.line) was answered twice, and not with the same bytes; one of the two machines computes or "
                + "reads wrongly: check its memory and its disk, and that both have the same model")
    }

    /// Waits until all answers that were taken are on the disk.
    package func flush() throws(LeafError) {
        if let failure = handout?.failure { throw failure }
        do throws(LeafError) {
            try log.flush()
        } catch {
            handout?.failure = error
            throw error
        }
    }

    private func note(_ line: Int, isFailure: Bool, tokens: Int) {
        _ = done.insert(line)
        progress.tokens += tokens
        progress.done += 1
        progress.failed += isFailure ? 1 : 0
    }

    private func opened() throws(LeafError) -> Handout {
        if let handout {
            if let failure = handout.failure { throw failure }
            return handout
        }
        try begin()
        let new = Handout(try JobLines(input, limit: Self.lineLimit), last: lastLine)
        handout = new
        return new
    }
}
