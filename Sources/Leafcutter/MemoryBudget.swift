/// A hard ceiling on everything the process is charged for.
public enum MemoryBudget: Sendable, Equatable {
    /// What is free, at most the container's limit, less a reserve.
    case automatic
    case bytes(Int)

    public static func mebibytes(_ count: Double) -> MemoryBudget { .bytes(Int(count * 1_048_576)) }
    public static func gibibytes(_ count: Double) -> MemoryBudget { .bytes(Int(count * 1_073_741_824)) }
}
