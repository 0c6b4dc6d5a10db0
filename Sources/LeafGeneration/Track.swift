package import LeafExecutor
package import LeafSystem

/// One request under way, or a part of one: says which rows it wants on the next sweep, and makes something of their
/// logits.
///
/// Texts, blanks and scored texts differ only here. A track lives on the engine's thread; whom it rides with changes
/// nothing for it.
package protocol Track: AnyObject {
    /// The most that it can need. It never changes.
    var demand: Demand { get }
    /// The cancellation of its request.
    var cancellation: Cancellation { get }
    /// Whether somebody wants it to stop. Asked before each sweep and before each block of one.
    var isCancelled: Bool { get }
    /// Whether it needs no more sweeps.
    var isFinished: Bool { get }

    /// Goes on from what a session has kept, if there is one. Called once, when the track joins.
    ///
    /// - Throws: what ends this track, and no other.
    func begin(_ model: Executor) throws(LeafError)

    /// Its texts whose next tokens may be drafted.
    var drafted: [any DraftedText] { get }

    /// Adds the rows that it wants on the next sweep, at least one and no more than its demand, besides its texts'
    /// drafts.
    ///
    /// - Throws: what ends this track, and no other.
    func addRows(to batch: inout RowBatch, _ model: Executor) throws(LeafError)

    /// Takes the output of one of its rows.
    ///
    /// - Parameter index: the number of the row among those of this track that want an output, from 0, in the order in
    ///   which it added them.
    /// - Throws: an error that ends this track and no other.
    func accept(
        _ row: LogitsRow, at index: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError)

    /// Called when all rows of a sweep have been accepted.
    func endSweep(_ model: Executor)

    /// Reports its progress to whoever waits: some times a second, also while it waits to join.
    func tell(_ progress: SweepProgress)

    /// Removes its sequences and delivers the result. Nothing is called afterwards.
    ///
    /// - Parameter error: the reason if it ends before it has finished; nil if it has finished or was cancelled.
    func end(_ error: LeafError?, _ model: Executor)
}

extension Track {
    package var isCancelled: Bool { cancellation.isCancelled }
    package var drafted: [any DraftedText] { [] }
    package func begin(_ model: Executor) throws(LeafError) {}
    package func endSweep(_ model: Executor) {}
}

/// The output of one row, in the model's memory; valid until the next sweep.
package struct LogitsRow {
    package let model: Executor
    /// The number of the row among the sweep's rows that want an output.
    package let number: Int
    /// `[vocabSize]`; empty for a row that wants its hidden state alone.
    package let logits: UnsafeBufferPointer<Float>
}

extension LogitsRow {
    /// The row of logits to choose from: with the soft-prompt rows after the vocabulary if these count.
    func joined(
        _ compatibility: Compatibility, _ workspace: borrowing SamplingWorkspace
    ) throws(LeafError) -> UnsafeBufferPointer<Float> {
        guard compatibility == .transformersRaw else { return logits }
        try workspace.joined.set(to: logits, then: model.facts.softPromptRows) { (row) throws(LeafError) in
            try model.softPromptLogits(ofRow: number, into: row)
        }
        return workspace.joined.numbers
    }
}
