/// How often the best guess behind a token is taken to be right, and who says so.
public enum DraftAcceptance: Sendable, Equatable {
    /// Whoever asks.
    case given(Double)
    /// A file beside the draft, by what came of so many guesses.
    case kept(Double, guesses: Int, file: String)
    /// Nobody: it is a careful figure.
    case assumed(Double)

    /// From 0 to 1.
    public var chance: Double {
        switch self {
        case .given(let chance), .kept(let chance, _, _), .assumed(let chance): chance
        }
    }
}
