infix operator +| : AdditionPrecedence
infix operator -| : AdditionPrecedence
infix operator *| : MultiplicationPrecedence
infix operator +|= : AssignmentPrecedence
infix operator -|= : AssignmentPrecedence

/// Sizes that anybody may ask for: what is too large for a number becomes the largest one, which no plan accepts.
extension Int {
    package static func +| (a: Int, b: Int) -> Int {
        let (sum, overflow) = a.addingReportingOverflow(b)
        return overflow ? (b > 0 ? .max : .min) : sum
    }

    package static func -| (a: Int, b: Int) -> Int {
        let (difference, overflow) = a.subtractingReportingOverflow(b)
        return overflow ? (b > 0 ? .min : .max) : difference
    }

    package static func +|= (a: inout Int, b: Int) { a = (a +| b) }
    package static func -|= (a: inout Int, b: Int) { a = (a -| b) }

    package static func *| (a: Int, b: Int) -> Int {
        let (product, overflow) = a.multipliedReportingOverflow(by: b)
        return overflow ? ((a > 0) == (b > 0) ? .max : .min) : product
    }

    /// The smallest multiple of a positive `step` that is not less than this number.
    package func roundedUp(to step: Int) -> Int { (self + step - 1) / step * step }

    /// The product, or nil if it overflows.
    package func multiplied(by other: Int) -> Int? {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        return overflow ? nil : product
    }

    /// The sum, or nil if it overflows.
    package func adding(_ other: Int) -> Int? {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? nil : sum
    }

    /// How many units of a positive size hold so much; none for less than nothing.
    package func units(of size: Int) -> Int { self <= 0 ? 0 : (self - 1) / size + 1 }
}
