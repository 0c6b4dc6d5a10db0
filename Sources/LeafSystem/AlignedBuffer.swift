import Glibc

/// Zeroed, page-aligned bytes with one owner. Sizes that come from files are allocated here, because a refusal by the
/// system is an error here and does not end the process.
package final class AlignedBuffer: @unchecked Sendable {
    package static let alignment = 4096

    /// The bytes. The owner makes sure that no two threads write the same bytes.
    package let bytes: UnsafeMutableRawBufferPointer

    /// - Parameter count: at least one; rounded up to whole pages.
    /// - Throws: `.budget` if the system has no memory for it.
    package init(count: Int) throws(LeafError) {
        let rounded = max(count.roundedUp(to: Self.alignment), Self.alignment)
        var raw: UnsafeMutableRawPointer?
        guard posix_memalign(&raw, Self.alignment, rounded) == 0, let raw else {
            throw LeafError(.budget, "no memory for a buffer of \(rounded) bytes; close other programs")
        }
        memset(raw, 0, rounded)
        bytes = UnsafeMutableRawBufferPointer(start: raw, count: rounded)
    }

    deinit { free(bytes.baseAddress) }
}

extension Int {
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
}
