import Glibc

/// Page-aligned zeroed bytes with one owner, freed with it. Sizes from files are asked for here, because a refusal is an
/// error and not the end of the process.
package final class AlignedBuffer: @unchecked Sendable {
    package static let alignment = 4096

    /// The bytes. The owner sees to it that no two threads write the same ones.
    package let bytes: UnsafeMutableRawBufferPointer

    /// - Parameter count: rounded up to whole pages; at least one.
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
    /// The next multiple of a positive `step`, which may be this number itself.
    package func roundedUp(to step: Int) -> Int { (self + step - 1) / step * step }

    /// The product, or nil where it does not fit.
    package func multiplied(by other: Int) -> Int? {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        return overflow ? nil : product
    }

    /// The sum, or nil where it does not fit.
    package func adding(_ other: Int) -> Int? {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? nil : sum
    }
}
