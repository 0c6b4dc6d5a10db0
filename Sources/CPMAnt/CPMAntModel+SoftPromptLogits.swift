import LeafFormat

/// transformers before 5.23 takes the rows of soft prompts for tokens.
extension CPMAntModel {
    /// The logits of the soft prompts' rows, `[promptRows]`, as if they stood behind the vocabulary in the token table.
    ///
    /// - Parameter row: one of the sweep that just ended, counted as `forward` counts them while it hands out logits.
    public func softPromptLogits(ofRow row: Int, into logits: UnsafeMutableBufferPointer<Float>) {
        precondition(logits.count == configuration.promptRows && row < capacity.logitRows)
        let dModel = configuration.dimModel
        let hidden = scratch.linearInput + row * dModel.roundedUp(to: 64)
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
