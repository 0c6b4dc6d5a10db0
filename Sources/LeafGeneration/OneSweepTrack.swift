package import CPMAntShape
package import LeafExecutor
package import LeafFormat

/// A request that one sweep answers.
package protocol OneSweepRequest: ModelRequest {
    /// What is known when some of its rows have been read.
    associatedtype Partial

    /// The rows of the sweep; those that want an output are read.
    func rows(of sequence: SequenceID, in configuration: ModelConfiguration) -> [RowBatch.Row]
    func begin(in configuration: ModelConfiguration) -> Partial
    /// - Parameter place: counts the rows that want an output.
    func read(
        _ row: LogitsRow, at place: Int, into partial: inout Partial, workspace: inout SamplingWorkspace
    ) throws(LeafError)
    func answer(_ partial: Partial) -> Answer
}

extension OneSweepRequest {
    package var oneSweepWork: RequestWork<Answer> {
        RequestWork { configuration, _, cancellation, deliver in
            OneSweepTrack(self, for: configuration, cancellation: cancellation, deliver: deliver)
        }
    }
}

extension Demand {
    /// Of a request that is over after one sweep with these rows.
    static func oneSweep(rows: Int, logitRows: Int) -> Demand {
        Demand(
            pages: (rows + pageKeys - 1) / pageKeys, sequences: 1, positions: rows, firstRows: rows, stepRows: 0,
            logitRows: logitRows)
    }
}

package final class OneSweepTrack<Request: OneSweepRequest>: Track {
    package let demand: Demand
    private let request: Request
    private let configuration: ModelConfiguration
    private let cancellation: Cancellation
    private let deliver: @Sendable (Result<Request.Answer, LeafError>) -> Void
    private var sequence: SequenceID?
    private var partial: Request.Partial
    /// Rows that have not been read.
    private var missing: Int?

    package init(
        _ request: Request, for configuration: ModelConfiguration, cancellation: Cancellation,
        deliver: @escaping @Sendable (Result<Request.Answer, LeafError>) -> Void
    ) {
        self.request = request
        self.configuration = configuration
        self.cancellation = cancellation
        self.deliver = deliver
        demand = request.demand(in: configuration)
        partial = request.begin(in: configuration)
    }

    package var isCancelled: Bool { cancellation.isCancelled }
    package var isFinished: Bool { missing == 0 }

    package func addRows(to batch: inout RowBatch, _ model: Executor) {
        let sequence = model.cache.makeSequence()
        self.sequence = sequence
        let rows = request.rows(of: sequence, in: configuration)
        missing = rows.count { $0.wantsOutput }
        batch.rows += rows
    }

    package func accept(
        _ row: LogitsRow, at place: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        try request.read(row, at: place, into: &partial, workspace: &workspace)
        missing = missing.map { $0 - 1 }
    }

    package func endSweep(_ model: Executor) {}

    package func end(_ error: LeafError?, _ model: Executor) {
        if let sequence { model.cache.remove(sequence) }
        if let error {
            deliver(.failure(error))
        } else if isFinished {
            deliver(.success(request.answer(partial)))
        } else {
            deliver(.failure(LeafError(.cancelled, "stopped")))
        }
    }
}
