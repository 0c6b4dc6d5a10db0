import LeafFormat
package import LeafSystem

/// What a sweep leaves behind.
extension Executor {
    /// Calls `body` for each row with an output.
    func handOutputs(
        to body: (Int, UnsafeBufferPointer<Float>) throws(LeafError) -> Void
    ) throws(LeafError) {
        for row in step.outputRows.indices {
            let logits = UnsafeBufferPointer(
                start: scratch.logits[row], count: row < step.logitRowCount ? facts.vocabSize : 0)
            let output = logits.isEmpty ? finalHiddenState(ofRow: row) : logits
            // Zero times a finite number is zero, so one pass finds any NaN or infinity.
            guard output.reduce(0, { $0 + $1 * 0 }) == 0 else {
                throw LeafError(
                    .badInput,
                    "\(file.path): the forward pass left the range of floats, so the weights are damaged; "
                        + file.remedy
                )
            }
            try body(row, logits)
        }
    }

    /// A row of the residual stream as the last block left it, `[dModel]`, for the executor of the blocks behind.
    ///
    /// - Parameter row: its number in the batch.
    package func hiddenState(ofRow row: Int) -> UnsafeBufferPointer<Float> {
        precondition(row < step.rowCount)
        return UnsafeBufferPointer(start: scratch.hiddenStates[row], count: facts.dModel)
    }

    /// The hidden state of a row after the last norm, `[dModel]`: what its logits are made of. It can be read only
    /// inside `forward`'s callback.
    ///
    /// - Parameter row: the number that `forward`'s callback gets.
    package func finalHiddenState(ofRow row: Int) -> UnsafeBufferPointer<Float> {
        precondition(row < step.outputRows.count)
        return UnsafeBufferPointer(start: scratch.finalHiddenStates(dModel: facts.dModel)[row], count: facts.dModel)
    }

    /// The logits of the soft prompts' rows, `[softPromptRows]`, as if they stood behind the vocabulary in the token
    /// table: transformers before 5.23 takes them for tokens. They can be read only inside `forward`'s callback.
    ///
    /// - Parameter row: the number that `forward`'s callback gets.
    package func softPromptLogits(
        ofRow row: Int, into logits: UnsafeMutableBufferPointer<Float>
    ) throws(LeafError) {
        precondition(logits.count == facts.softPromptRows)
        let hidden = finalHiddenState(ofRow: row)
        // The residual stream is not needed any more, so its memory is free.
        let embedding = scratch.delta[0]
        for number in logits.indices {
            try architecture.embed(.softPrompt(Int32(number)), segment: nil, into: embedding, self)
            var sum: Float = 0
            for column in 0..<facts.dModel { sum += hidden[column] * embedding[column] }
            logits[number] = sum
        }
    }
}
