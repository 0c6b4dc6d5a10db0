import LeafFormat

/// What else there is to know of a sweep's rows with an output, while `forward` hands them out.
extension CPMAntModel {
    /// The hidden state of a row after the last norm, `[dimModel]`: what its logits are made of.
    ///
    /// - Parameter row: counted as `forward` counts them.
    public func finalHiddenState(ofRow row: Int) -> UnsafeBufferPointer<Float> {
        precondition(row < step.outputRows.count)
        let start = scratch.linearInput + row * configuration.dimModel.roundedUp(to: 64)
        return UnsafeBufferPointer(start: start, count: configuration.dimModel)
    }

    /// The logits of the soft prompts' rows, `[promptRows]`, as if they stood behind the vocabulary in the token table:
    /// transformers before 5.23 takes them for tokens.
    ///
    /// - Parameter row: counted as `forward` counts them.
    public func softPromptLogits(ofRow row: Int, into logits: UnsafeMutableBufferPointer<Float>) {
        precondition(logits.count == configuration.promptRows)
        let dModel = configuration.dimModel
        let hidden = finalHiddenState(ofRow: row)
        // The residual stream is done with.
        let (noSegment, embedding) = (scratch.hiddenStates, scratch.delta)
        noSegment.update(repeating: 0, count: dModel)
        for place in logits.indices {
            embedSoftPrompt(place, adding: noSegment, into: embedding)
            var sum: Float = 0
            for column in 0..<dModel { sum += hidden[column] * embedding[column] }
            logits[place] = sum
        }
    }
}
