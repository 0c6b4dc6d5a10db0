package import LeafExecutor
import LeafStream
package import LeafSystem
import LeafWire
package import Leafcutter

/// What a server is opened for within its budget: texts on a sweep, connections, room for requests. Where memory is
/// short, all of them shrink rather than that nothing is served.
package struct ServicePlan: Sendable {
    package let capacity: Demand
    package let limits: HTTPLimits
    /// Bytes that requests may hold that wait or are under way.
    package let roomBytes: Int
    /// Bytes that one request may take, its answer while it is written included.
    package let requestBytes: Int
    /// Bytes that a batch may take; 0 where no files are kept.
    package let batchBytes: Int

    /// - Parameters:
    ///   - options: how the model is opened otherwise.
    ///   - context: tokens of a text, its answer included.
    ///   - sequences: texts on a sweep at the same time, if there is room for them.
    ///   - limits: of connections, if there is room for them.
    ///   - files: of what is kept for clients; nil where nothing is.
    /// - Throws: `.budget` with the smallest budget that serves one text at a time.
    package init(
        _ file: ModelFile, _ options: ModelOptions, context: Int, sequences: Int, _ limits: HTTPLimits,
        files: FileStore.Limits? = nil
    ) throws(LeafError) {
        let budget = if case .bytes(let bytes) = options.memory { bytes } else { Machine.current().defaultBudget }
        // An eighth of the budget is for clients, and enough for a few of them in any case.
        let share = max(Self.leastBytes, budget / 8)
        self.limits = limits.within(share / 2)
        let widest = AnswerDesk.widestRoom(context: context, sequences: sequences, bodyBytes: limits.bodyBytes)
        requestBytes = min(widest.bytes, share / 4)
        roomBytes = min(4 *| widest.held, share / 4)
        batchBytes = files == nil ? 0 : max(Self.leastBatchBytes, budget / 64)
        var options = options
        let bytes = self.limits.byteCount +| roomBytes +| requestBytes +| batchBytes +| (files?.heapBytes ?? 0)
        callerBytes = bytes
        options.callerBytes = bytes
        capacity = try Self.capacity(file, options, context: context, sequences: sequences, budget: budget)
    }

    /// As many texts as fit, with as many rows of logits as the context has if those take no more than an eighth of the
    /// budget, and fewer otherwise: scoring a prompt then takes more sweeps.
    private static func capacity(
        _ file: ModelFile, _ options: ModelOptions, context: Int, sequences: Int, budget: Int
    ) throws(LeafError) -> Demand {
        let rowBytes = file.configuration.vocabSize *| MemoryLayout<Float>.stride
        let rows = max(1, min(context, budget / 8 / max(1, rowBytes)))
        // One text at a time is scored; the others ask for a row each.
        func capacity(scoring rows: Int) throws(LeafError) -> Demand {
            let others = Array(repeating: Demand(context: context), count: sequences - 1)
            let demands = [Demand(context: context, logitRows: rows)] + others
            return try Demand.fitting(demands, sequences: sequences, file, options)
        }
        do throws(LeafError) {
            return try capacity(scoring: rows)
        } catch {
            guard error.kind == .budget, rows > 1 else { throw error }
            return try capacity(scoring: 1)
        }
    }

    /// For clients, whatever the budget.
    private static let leastBytes = 6 << 20
    /// For the lines and notes of a batch, whatever the budget.
    private static let leastBatchBytes = 4 << 20
    /// Bytes beside the model, for its plan.
    package let callerBytes: Int
}
