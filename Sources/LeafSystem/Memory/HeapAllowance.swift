/// What reading files may still take of a memory budget before there is a plan.
///
/// Readers take from it what their tables can need at most, before they read them. The plan's smallest budget is no
/// less than the peak.
package struct HeapAllowance: Sendable {
    /// Bytes of the budget; nil for as many as readers need.
    package let budget: Int?
    /// Bytes that are taken now.
    package private(set) var held: Int
    /// The most bytes that were taken at the same time.
    package private(set) var peak: Int

    /// Without a budget, and with nothing held.
    package static var unlimited: HeapAllowance { HeapAllowance(budget: nil, held: 0) }

    /// - Parameter held: what the program itself takes of the budget.
    package init(budget: Int?, held: Int) {
        self.budget = budget
        self.held = held
        peak = held
    }

    /// - Parameters:
    ///   - what: what is read, such as `its header`.
    ///   - path: of the file.
    /// - Throws: `.budget` with the smallest budget that holds it beside what was taken before, or naming a limit on
    ///   addresses that leaves less: where malloc gives nothing, Swift ends the program.
    package mutating func take(_ bytes: Int, for what: String, of path: String) throws(LeafError) {
        let needed = held +| bytes
        if let budget, needed > budget {
            throw LeafError(
                .budget,
                "\(path) needs at least \(needed.roundedUpText) to be read, \(bytes.sizeText) of it for \(what), "
                    + "where \(budget.sizeText) may be taken",
                advice: .memory(bytes: needed.wholeMebibytes))
        }
        try AddressLimit.check(bytes, for: path)
        held = needed
        peak = max(peak, held)
    }

    /// Counts what was not taken because the budget is too small, so that no plan within it exists, and the smallest
    /// budget that a plan names does for it as well.
    ///
    /// - Parameter kept: bytes of it that would have stayed.
    package mutating func note(missing bytes: Int, keeping kept: Int) {
        peak = max(peak, held +| bytes)
        held +|= kept
    }

    /// Gives back what is not needed any more.
    package mutating func give(back bytes: Int) { held -= bytes }
}
