public import LeafGeneration
public import LeafSystem

extension ModelFile {
    /// A request for a text's logits, with what the model was tuned by.
    ///
    /// - Parameters:
    ///   - lastOnly: the last row instead of all rows after the soft prompt.
    ///   - sink: handed each row on the engine's thread, where it should return soon.
    package func logitsRequest(
        of text: LogitsCase, lastOnly: Bool = false, sink: @escaping LogitsRequest.Sink
    ) -> LogitsRequest {
        LogitsRequest(
            text, lastOnly: lastOnly,
            tuning: { [tunings, configuration] in tunings.unnamed(task: $0, for: configuration) },
            sink: sink)
    }
}

extension Model {
    /// The logits of whole texts, each in one sweep, which others may share.
    ///
    /// - Parameters:
    ///   - lastOnly: gives only the last row of each case, otherwise all rows after the soft prompt.
    ///   - body: is handed the case's index, the row, and `[vocabSize]` logits that are there until it returns; case by
    ///     case in order, while the calling thread waits.
    /// - Throws: `.usage` for cases that make no sense, `.tooLong` when the model was opened for less, `.cancelled`,
    ///   and whatever `body` throws.
    public func logits(
        of cases: [LogitsCase], lastOnly: Bool = false, cancellation: Cancellation = Cancellation(),
        _ body: (_ index: Int, _ row: Int, _ logits: UnsafeBufferPointer<Float>) throws(LeafError) -> Void
    ) throws(LeafError) {
        var failure: LeafError?
        withoutActuallyEscaping(body) { body in
            let loan = Loan(body)
            defer { loan.end() }
            let requests = cases.enumerated().map { index, text in
                file.logitsRequest(of: text, lastOnly: lastOnly) { row, logits throws(LeafError) in
                    try loan.use(index, row, logits)
                }
            }
            do throws(LeafError) {
                let own = Cancellation(parent: cancellation)
                try answer(requests, cancellation: own) { _, answer in
                    guard case .failure(let error) = answer, failure == nil else { return }
                    failure = error
                    // What comes behind would not be in order.
                    own.cancel()
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }
}

/// A closure of the calling thread, which waits while the engine's thread calls it.
private final class Loan: @unchecked Sendable {
    typealias Body = (_ index: Int, _ row: Int, _ logits: UnsafeBufferPointer<Float>) throws(LeafError) -> Void

    /// Nil once it is of no use.
    private var body: Body?

    init(_ body: @escaping Body) { self.body = body }

    /// - Throws: what the closure throws; it is not called again then.
    func use(_ index: Int, _ row: Int, _ logits: UnsafeBufferPointer<Float>) throws(LeafError) {
        guard let body else { throw LeafError(.cancelled, "stopped") }
        do throws(LeafError) {
            try body(index, row, logits)
        } catch {
            self.body = nil
            throw error
        }
    }

    /// The closure lives no longer than its call, whoever still holds the loan.
    func end() { body = nil }
}
