import CPMAntShape
public import LeafGeneration
public import LeafSystem

extension Model {
    /// Fills the blanks of a text: `<blank:3>` has three tokens, `<blank>` the best number of tokens.
    ///
    /// - Parameters:
    ///   - longest: the most tokens of a blank without a number.
    ///   - cancellation: ends it with `.cancelled`.
    /// - Returns: the whole text, and the blanks.
    /// - Throws: `.usage` for what makes no sense, `.busy`, `.tooLong` when the model was opened for less,
    ///   `.cancelled`.
    public func fill(
        _ text: String, _ options: GenerationOptions = .filling, longest: Int = FillRequest.usualLongest,
        cancellation: Cancellation = Cancellation()
    ) throws(LeafError) -> (text: String, filling: Filling) {
        let text = try BlankText(text)
        let request = try file.request(toFill: text, options, longest: longest)
        var result = Result<Filling, LeafError>.failure(LeafError(.cancelled, "stopped"))
        try answer([request], cancellation: cancellation) { result = $1 }
        let filling = try result.get()
        return (text.filled(with: filling.blanks.map(\.text)), filling)
    }
}
