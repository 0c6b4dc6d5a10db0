/// Values that come in any order, handed on in the order of their places.
package struct InOrder<Value> {
    /// How many were handed on.
    package private(set) var done = 0
    /// Those that came before an earlier one.
    private var early: [Int: Value] = [:]

    package init() {}

    /// - Parameter handOn: called for each value whose turn it is now.
    package mutating func add(_ value: Value, at place: Int, handOn: (_ place: Int, _ value: Value) -> Void) {
        early[place] = value
        while let next = early.removeValue(forKey: done) {
            handOn(done, next)
            done += 1
        }
    }
}
