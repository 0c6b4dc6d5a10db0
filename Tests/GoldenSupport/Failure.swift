import LeafSystem

/// The error of ours that an expression fails with; nil if it does not fail.
package func failure(_ body: () throws -> Void) -> LeafError? {
    do {
        try body()
        return nil
    } catch {
        return error as? LeafError
    }
}
