/// What went wrong and what to do about it, in one sentence.
///
/// Every failure that a user, a file or a client can cause ends as one of these; traps are for
/// programmer errors only.
public struct LeafError: Error, CustomStringConvertible, Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// The command or the call is wrong.
        case usage
        /// A file or a text is not what it should be.
        case badInput
        /// Reading or writing failed.
        case io
        /// It does not fit the memory budget.
        case budget
        /// The user stopped it.
        case cancelled
    }

    public let kind: Kind
    /// Lower case, no full stop: what, where, what now. One line without control characters, whatever names stand in it.
    public let description: String

    public init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description.printable
    }

    /// The exit code of a command that ends with this error.
    public var exitCode: Int32 {
        switch kind {
        case .badInput, .io: 1
        case .usage: 2
        case .budget: 3
        case .cancelled: 130
        }
    }
}
