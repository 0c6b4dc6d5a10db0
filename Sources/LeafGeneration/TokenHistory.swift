/// The tokens that rules look at: the generated ones, and those of the prompt if the chosen implementation counts them.
package struct TokenHistory: Sendable {
    /// All tokens that count, in order.
    package private(set) var counted: [Int32]
    private let promptCount: Int

    /// - Parameter prompt: ids that count although they were not generated.
    package init(prompt: [Int32] = [], generated: [Int32] = []) {
        counted = prompt + generated
        promptCount = prompt.count
    }

    package var generated: ArraySlice<Int32> { counted[promptCount...] }
    package var generatedCount: Int { counted.count - promptCount }

    package mutating func reserve(_ tokens: Int) { counted.reserveCapacity(promptCount + tokens) }
    package mutating func append(_ id: Int32) { counted.append(id) }
    package mutating func removeLast(_ tokens: Int) { counted.removeLast(tokens) }
}
