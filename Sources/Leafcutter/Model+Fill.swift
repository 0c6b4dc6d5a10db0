import CPMAntShape
public import LeafFormat
public import LeafGeneration

extension Model {
    /// Fills the blanks of a text: `<blank:3>` is three tokens, `<blank>` as many as are best.
    ///
    /// - Parameters:
    ///   - longest: tokens of a blank without a number at most.
    ///   - cancellation: ends it with `.cancelled`.
    /// - Returns: the whole text, and what was found.
    /// - Throws: `.usage` for what makes no sense, `.busy`, `.tooLong` when the model was opened for less, `.cancelled`.
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
