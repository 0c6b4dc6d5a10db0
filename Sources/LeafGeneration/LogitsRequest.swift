package import CPMAntShape
package import LeafExecutor
package import LeafSystem

/// A text whose logits are wanted, row by row: they are lent, not kept.
package struct LogitsRequest: Sendable {
    /// Handed each wanted row's number, from 0, and its logits, `[vocabSize]`, which are there until it returns. Called
    /// on the engine's thread. What it throws ends the request.
    package typealias Sink =
        @Sendable (_ row: Int, _ logits: UnsafeBufferPointer<Float>) throws(LeafError) -> Void

    package var text: LogitsCase
    /// The last row instead of all rows after the soft prompt.
    package var lastOnly: Bool
    /// Of the rows after the soft prompt, those that are wanted; nil for all.
    package var only: Range<Int>?
    private let tuning: @Sendable (_ task: Int) -> TextTuning
    private let sink: Sink

    package init(
        _ text: LogitsCase, lastOnly: Bool, tuning: @escaping @Sendable (_ task: Int) -> TextTuning,
        sink: @escaping Sink
    ) {
        self.text = text
        self.lastOnly = lastOnly
        self.tuning = tuning
        self.sink = sink
    }

    /// - Throws: `.usage` for what makes no sense with this model.
    package func validate(for configuration: ModelConfiguration) throws(LeafError) {
        try text.validate(for: configuration)
    }

    /// What the request needs of a model: one sweep.
    package func demand(in configuration: ModelConfiguration) -> Demand {
        let rows = text.rowCount(in: configuration)
        let all = 0..<max(0, rows - configuration.promptLength)
        return .oneSweep(
            rows: rows, logitRows: lastOnly ? 1 : only.map { $0.clamped(to: all).count } ?? all.count, answerBytes: 0)
    }
}

extension LogitsRequest: OneSweepRequest {
    /// How many rows there were.
    package typealias Answer = Int
    package var work: RequestWork<Int> { oneSweepWork }

    package func rows(
        of sequence: SequenceID, in configuration: ModelConfiguration
    ) throws(LeafError) -> [RowBatch.Row] {
        try text.rows(of: sequence, in: configuration, lastOnly: lastOnly, only: only, tuning: tuning)
    }

    package func begin(in configuration: ModelConfiguration) -> Int { 0 }

    package func read(
        _ row: LogitsRow, at index: Int, into rows: inout Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        try sink(index, row.logits)
        rows += 1
    }

    package func answer(_ rows: Int) -> Int { rows }
}
