import CPMAntShape
import LeafExecutor
import LeafFormat
import LeafGeneration
package import LeafSystem
package import LeafWire
package import Leafcutter

/// A line that is answered apart from its job, with the bytes that the job itself would give.
package struct LineWork: Sendable {
    private var item: BatchItem
    private var failure: LeafError?
    private var tokens = 0
    /// Requests of the line that have not finished.
    private var left: Int

    /// - Parameter origin: what decides every answer of the model that is asked.
    /// - Throws: `.usage` for what makes no sense with this model, `.badInput` for a line of a job whose answers come
    ///   of something else.
    package init(_ line: LineRequest, for file: ModelFile, origin: String) throws(LeafError) {
        guard line.origin == origin else {
            throw LeafError(
                .badInput,
                "line \(line.line) belongs to a job of another model, version, precision or adapter; open what the job "
                    + "was begun with")
        }
        let bytes = Array(line.request.utf8)[...]
        item = try BatchItem(
            bytes, LineName(bytes, line: line.line), for: file, WireRequest.Defaults(), seed: line.seed)
        left = item.requests.count
    }

    /// What the model is asked.
    package var requests: [AnyRequest] { item.requests }

    /// Bytes that its requests and their answers take.
    package func heapBytes(in file: ModelFile) -> Int {
        item.requests.reduce(0) { sum, request in
            request.demands(in: file.configuration).reduce(sum) { $0 +| 2 *| $1.heapBytes }
        }
    }

    /// Takes what became of one of its requests.
    ///
    /// - Returns: the answer to the line, which may say why there is none; nil while more is to come.
    /// - Throws: `.cancelled` if it was stopped, `.io` and `.badInput` if the model could not be read.
    package mutating func take(
        _ result: Result<AnyRequest.Answer, LeafError>, of index: Int, _ model: Model
    ) throws(LeafError) -> LineAnswer? {
        left -= 1
        var answer: JSON?
        switch result {
        case .success(let found) where found.isInterrupted: failure = failure ?? LeafError(.cancelled, "stopped")
        case .success(let found):
            tokens += found.tokens
            answer = item.take(found, of: index, model)
        // The others of the line are stopped when one has failed.
        case .failure(let error): failure = failure.map { $0.kind == .cancelled ? error : $0 } ?? error
        }
        guard left == 0 else { return nil }
        let line = item.name.line
        if let failure {
            guard ![.cancelled, .io, .badInput].contains(failure.kind) else { throw failure }
            return LineAnswer(line: line, isFailure: true, tokens: tokens, answer: item.name.answer(failure))
        }
        return answer.map { LineAnswer(line: line, isFailure: false, tokens: tokens, answer: $0) }
    }
}
