package import CPMAnt
public import LeafFormat

/// How the hidden states of a text become one vector.
public enum Pooling: String, Sendable, CaseIterable {
    /// Their mean over the text's tokens, `<s>` among them.
    case mean
    /// The last token's, which has seen the whole text.
    case last
}

/// A text whose hidden states are wanted.
public struct EmbeddingRequest: Sendable {
    public var text: PromptRows
    public var pooling: Pooling

    public init(text: PromptRows, pooling: Pooling = .mean) {
        self.text = text
        self.pooling = pooling
    }

    /// - Throws: `.usage` for what makes no sense with this model.
    public func validate(for configuration: ModelConfiguration) throws(LeafError) {
        guard !text.ids.isEmpty else { throw LeafError(.usage, "the text has no ids; give at least <s> (6)") }
    }

    /// What the request needs of a model: one sweep.
    public func demand(in configuration: ModelConfiguration) -> Demand {
        let rows = text.length(in: configuration)
        return Demand(
            pages: (rows + Demand.pageKeys - 1) / Demand.pageKeys, sequences: 1, positions: rows, firstRows: rows,
            stepRows: 0, logitRows: pooling == .last ? 1 : text.ids.count)
    }
}

/// Pools the hidden states of one text, on one sweep.
package final class EmbedTrack: Track {
    package let demand: Demand
    private let request: EmbeddingRequest
    private let cancellation: Cancellation
    private let deliver: @Sendable (Result<[Float], LeafError>) -> Void
    private var sequence: SequenceID?
    /// Kept in double precision, so that long texts lose nothing.
    private var sums: [Double] = []
    private var rows = 0

    /// - Parameter deliver: is told `[dimModel]` numbers.
    package init(
        _ request: EmbeddingRequest, for configuration: ModelConfiguration, cancellation: Cancellation,
        deliver: @escaping @Sendable (Result<[Float], LeafError>) -> Void
    ) {
        self.request = request
        self.cancellation = cancellation
        self.deliver = deliver
        demand = request.demand(in: configuration)
    }

    package var isCancelled: Bool { cancellation.isCancelled }
    package var isFinished: Bool { rows == demand.logitRows }

    package func addRows(to batch: inout RowBatch, _ model: CPMAntModel) {
        let sequence = model.cache.makeSequence()
        self.sequence = sequence
        sums = Array(repeating: 0, count: model.configuration.dimModel)
        let last = request.text.ids.count - 1
        batch.rows += request.text.rows(of: sequence, in: model.configuration) {
            request.pooling == .mean || $0 == last
        }
    }

    package func accept(
        _ row: LogitsRow, at place: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        let hidden = row.model.finalHiddenState(ofRow: row.number)
        for column in sums.indices { sums[column] += Double(hidden[column]) }
        rows += 1
    }

    package func endSweep(_ model: CPMAntModel) {}

    package func end(_ error: LeafError?, _ model: CPMAntModel) {
        if let sequence { model.cache.remove(sequence) }
        if let error {
            deliver(.failure(error))
        } else if isFinished {
            deliver(.success(sums.map { Float($0 / Double(rows)) }))
        } else {
            deliver(.failure(LeafError(.cancelled, "stopped")))
        }
    }
}
