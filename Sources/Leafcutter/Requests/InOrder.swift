/// Puts values that arrive in any order back into the order of their numbers.
package struct InOrder<Value> {
    /// How many values were passed on.
    package private(set) var done = 0
    /// Values that arrived before an earlier one.
    private var early: [Int: Value] = [:]

    package init() {}

    /// - Parameter handOn: called for each value whose turn it is.
    package mutating func add(_ value: Value, at index: Int, handOn: (_ index: Int, _ value: Value) -> Void) {
        early[index] = value
        while let next = early.removeValue(forKey: done) {
            handOn(done, next)
            done += 1
        }
    }
}
