/// Memory and processors that this process may use.
public struct Machine: Sendable, Equatable {
    public let cores = 2
    public let defaultBudget = 4 << 30
    public static func current() -> Machine { Machine() }
}

extension MemoryPlan {
    /// Bytes of everything that is not planned by part: executable, libraries, stacks, page tables, header.
    public static let runtimeBytes = 24 << 20
}
