extension MemoryPlan {
    /// Bytes of everything that is not planned by part: executable, libraries, stacks, page tables, header.
    public static let runtimeBytes = 24 << 20
}
