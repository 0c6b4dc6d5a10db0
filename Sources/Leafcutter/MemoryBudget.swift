/// A hard ceiling on everything the process is charged for.
public enum MemoryBudget: Sendable, Equatable {
    /// The free memory, at most the container's limit, less a reserve.
    case automatic
    case bytes(Int)

    public static func mebibytes(_ count: Double) -> MemoryBudget { bytes(count, times: 0x1p20) }
    public static func gibibytes(_ count: Double) -> MemoryBudget { bytes(count, times: 0x1p30) }

    /// A NaN or a negative count gives 0 bytes, and one that is too large gives the largest number.
    private static func bytes(_ count: Double, times unit: Double) -> MemoryBudget {
        let bytes = count * unit
        return .bytes(bytes > 0 ? (bytes < 0x1p63 ? Int(bytes) : .max) : 0)
    }
}
