package import CPMAntShape
package import LeafExecutor
package import LeafSystem

/// A request for the log-probabilities of a text's own tokens, as if each had been generated after those before it:
/// what a score is made of, with the most likely other tokens.
package struct EchoRequest: Sendable {
    /// The text before the target. Every position sees it, like a prompt.
    package var context: PromptRows
    /// Each token sees the context and the tokens before it.
    package var target: [Int32]
    /// The tokens of the target that are asked for: a model has room for so many rows of logits on one sweep.
    package var part: Range<Int>
    /// How many of the most likely tokens to report besides.
    package var top: Int

    package init(context: PromptRows, target: [Int32], part: Range<Int>, top: Int) {
        (self.context, self.target, self.part, self.top) = (context, target, part, top)
    }

    /// - Throws: `.usage` if the request is invalid for this model.
    package func validate(for configuration: ModelConfiguration) throws(LeafError) {
        try ScoreRequest(context: context, target: target).validate(for: configuration)
        guard !part.isEmpty, target.indices.contains(part.lowerBound), part.upperBound <= target.count, top >= 0 else {
            throw LeafError(.usage, "tokens \(part) are not among the \(target.count) of the text")
        }
    }

    /// The demand of the request: one sweep, which does not need what comes behind the part.
    package func demand(in configuration: ModelConfiguration) -> Demand {
        .oneSweep(
            rows: context.length(in: configuration) +| (part.upperBound - 1), logitRows: part.count,
            answerBytes: part.count *| (128 +| (top +| 1) *| MemoryLayout<TokenLogprobs.Entry>.stride))
    }
}

extension EchoRequest: OneSweepRequest {
    /// One entry for each token of the part.
    package typealias Answer = [TokenLogprobs]
    package var work: RequestWork<[TokenLogprobs]> { oneSweepWork }

    package func rows(of sequence: SequenceID, in configuration: ModelConfiguration) -> [RowBatch.Row] {
        context.rows(of: sequence, predicting: part, of: target, in: configuration)
    }

    package func begin(in configuration: ModelConfiguration) -> [TokenLogprobs] { [] }

    package func read(
        _ row: LogitsRow, at index: Int, into entries: inout [TokenLogprobs], workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        try workspace.load(row.logits.span)
        entries.append(
            workspace.logprobs(of: row.logits.span, chosen: target[part.lowerBound + index], top: top))
    }

    package func answer(_ entries: [TokenLogprobs]) -> [TokenLogprobs] { entries }
}
