package import CPMAntShape
package import LeafExecutor
package import LeafSystem

/// A request that one sweep answers.
package protocol OneSweepRequest: ModelRequest {
    /// The state of an answer after some of its rows were read.
    associatedtype Partial

    /// The rows of its sweep. Rows that want an output will be read.
    func rows(of sequence: SequenceID, in configuration: ModelConfiguration) throws(LeafError) -> [RowBatch.Row]
    func begin(in configuration: ModelConfiguration) -> Partial
    /// - Parameter index: the number of the row among those that want an output.
    func read(
        _ row: LogitsRow, at index: Int, into partial: inout Partial, workspace: inout SamplingWorkspace
    ) throws(LeafError)
    func answer(_ partial: Partial) -> Answer
}

extension OneSweepRequest {
    package var oneSweepWork: RequestWork<Answer> {
        RequestWork { [OneSweepTrack(self, $0)] }
    }
}

extension Demand {
    /// The demand of a request that is done after one sweep with these rows.
    ///
    /// - Parameter answerBytes: of its answer.
    package static func oneSweep(rows: Int, logitRows: Int, answerBytes: Int) -> Demand {
        Demand(
            pages: pages(holding: rows), sequences: 1, longest: rows, firstRows: rows, stepRows: 0,
            logitRows: logitRows, heapBytes: rows *| (idHeapBytes + rowHeapBytes) +| answerBytes, takesDrafts: false)
    }
}

package final class OneSweepTrack<Request: OneSweepRequest>: Track {
    package let demand: Demand
    package var cancellation: Cancellation { context.cancellation }
    private let request: Request
    private let context: RequestContext<Request.Answer>
    private var sequence: SequenceID?
    private var partial: Request.Partial
    /// The number of rows that have not been read yet.
    private var missing: Int?

    /// - Parameter request: a valid one.
    package init(_ request: Request, _ context: RequestContext<Request.Answer>) {
        self.request = request
        self.context = context
        demand = request.demand(in: context.configuration)
        partial = request.begin(in: context.configuration)
    }

    package var isFinished: Bool { missing == 0 }

    package func addRows(to batch: inout RowBatch, _ model: Executor) throws(LeafError) {
        let sequence = model.cache.makeSequence()
        self.sequence = sequence
        let rows = try request.rows(of: sequence, in: context.configuration)
        missing = rows.count { $0.wantsOutput }
        batch.rows += rows
    }

    package func accept(
        _ row: LogitsRow, at index: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        try request.read(row, at: index, into: &partial, workspace: &workspace)
        missing = missing.map { $0 - 1 }
    }

    package func tell(_ progress: SweepProgress) {
        context.tell(.progress(progress.ofRequest(sweeps: sequence == nil ? 0 : 1, hasTokens: false)))
    }

    package func end(_ error: LeafError?, _ model: Executor) {
        if let sequence { model.cache.remove(sequence) }
        if let error {
            context.tell(.finished(.failure(error)))
        } else if isFinished {
            context.tell(.finished(.success(request.answer(partial))))
        } else {
            context.tell(.finished(.failure(LeafError(.cancelled, "stopped"))))
        }
    }
}
