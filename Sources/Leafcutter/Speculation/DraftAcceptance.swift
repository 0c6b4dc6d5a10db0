/// How often the best guess behind a token is taken to be right, and who says so.
public enum DraftAcceptance: Sendable, Equatable {
    /// Whoever asks.
    case given(Double)
    /// A file beside the draft, by what came of so many guesses.
    case kept(Double, guesses: Int, file: String)
    /// Nobody: it is a careful figure.
    case assumed(Double)
    /// Nobody yet: it is a careful figure while a file beside the draft counts so few guesses, of those that it takes.
    case begun(Double, guesses: Int, needed: Int, file: String)

    /// From 0 to 1.
    public var chance: Double {
        switch self {
        case .given(let chance), .kept(let chance, _, _), .assumed(let chance), .begun(let chance, _, _, _): chance
        }
    }
}
