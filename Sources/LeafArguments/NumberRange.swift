/// A type of the numbers that options have.
package protocol ArgumentNumber: ArgumentValue, Comparable {
    /// As people type it.
    var typed: String { get }
}

extension Int: ArgumentNumber {
    package var typed: String { "\(self)" }
}

extension Int32: ArgumentNumber {
    package var typed: String { "\(self)" }
}

extension Float: ArgumentNumber {
    package var typed: String { Int(exactly: self).map { "\($0)" } ?? "\(self)" }
}

/// The numbers that an option takes. What is no number and what is out of range are refused in the same words.
package struct NumberRange<Number: ArgumentNumber>: Sendable {
    private let least: Number
    private let most: Number?
    private let hint: String?
    /// Whether the least number itself is taken.
    private let isClosed: Bool

    /// - Parameter hint: what else whoever is refused should know: `0 turns it off`.
    package init(_ numbers: ClosedRange<Number>, _ hint: String? = nil) {
        (least, most, self.hint, isClosed) = (numbers.lowerBound, numbers.upperBound, hint, true)
    }

    package init(_ numbers: PartialRangeFrom<Number>, _ hint: String? = nil) {
        (least, most, self.hint, isClosed) = (numbers.lowerBound, nil, hint, true)
    }

    package init(above number: Number) {
        (least, most, hint, isClosed) = (number, nil, nil, false)
    }

    func contains(_ number: Number) -> Bool {
        (isClosed ? least <= number : least < number) && most.map { number <= $0 } != false
    }

    /// What follows "is not": `a whole number from 1 to 1024; 8 is usual`.
    var expectation: String {
        let bounds =
            most.map { "from \(least.typed) to \($0.typed)" } ?? "\(isClosed ? "of at least" : "above") \(least.typed)"
        return "\(Number.expectation) \(bounds)" + (hint.map { "; \($0)" } ?? "")
    }
}
