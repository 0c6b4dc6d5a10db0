package import LeafExecutor
package import LeafFormat

/// One request under way: says which rows it wants on the next sweep, and makes something of their logits.
///
/// Samples, beams and scored texts differ only here. A track lives on the engine's thread; whom it rides with changes
/// nothing for it.
package protocol Track: AnyObject {
    /// What it can come to need; never changes.
    var demand: Demand { get }
    /// Whether somebody wants it to stop.
    var isCancelled: Bool { get }
    /// Whether it wants no more sweeps.
    var isFinished: Bool { get }

    /// Takes up what it was before, if it was. Called once, when it has its place.
    ///
    /// - Throws: what ends this track, and no other.
    func begin(_ model: Executor) throws(LeafError)

    /// Adds the rows that it wants on the next sweep, at least one.
    func addRows(to batch: inout RowBatch, _ model: Executor)

    /// Takes the output of one of these rows.
    ///
    /// - Parameter place: counts the track's rows that want an output, from 0 in the order in which it added them.
    /// - Throws: what ends this track, and no other.
    func accept(
        _ row: LogitsRow, at place: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError)

    /// All of a sweep's rows have been accepted.
    func endSweep(_ model: Executor)

    /// Removes its sequences, and tells whoever waits what became of it. Nothing is called afterwards.
    ///
    /// - Parameter error: why it ends before it has finished; nil when it has, or was cancelled.
    func end(_ error: LeafError?, _ model: Executor)
}

extension Track {
    package func begin(_ model: Executor) throws(LeafError) {}
}

/// A row's output where the model left it; gone with the next sweep.
package struct LogitsRow {
    package let model: Executor
    /// Counts the sweep's rows that want an output.
    package let number: Int
    /// `[vocabSize]`; none for a row that wants its hidden state alone.
    package let logits: UnsafeBufferPointer<Float>
}
