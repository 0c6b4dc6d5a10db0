import Glibc

/// The bucket of the relative position bias for a pair of positions: CPM-Ant's rule, in integers.
///
/// - Source: CPM-Ant reference, section 2.4. The table is computed with the reference's formula in double precision. No
///   distance in use is so close to an edge that the precision matters, and exact powers of two are edges themselves.
package struct PositionBuckets: Sendable {
    private let numBuckets: Int
    private let segmentTypes: Int
    private let maxDistance: Int
    /// Bucket of each distance to an earlier or the same index, as far as a text of the context reaches.
    private let past: [UInt16]

    /// - Parameters:
    ///   - longest: positions of the longest text; the table ends there, whatever `maxDistance` says.
    package init(numBuckets: Int, maxDistance: Int, segmentTypes: Int, longest: Int) {
        self.numBuckets = numBuckets
        self.segmentTypes = segmentTypes
        self.maxDistance = maxDistance
        past = (0..<Self.tableCount(maxDistance: maxDistance, longest: longest)).map {
            Self.bucket($0, numBuckets: numBuckets, maxDistance: maxDistance)
        }
    }

    /// Bytes of the table, for the memory plan.
    package static func byteCount(maxDistance: Int, longest: Int) -> Int {
        tableCount(maxDistance: maxDistance, longest: longest) * MemoryLayout<UInt16>.stride
    }

    /// Everything farther than `maxDistance` is in the last bucket.
    private static func tableCount(maxDistance: Int, longest: Int) -> Int { max(1, min(maxDistance + 1, longest)) }

    /// - Parameters:
    ///   - distance: key index minus query index.
    /// - Returns: a row of the bias table.
    package func bucket(distance: Int) -> UInt16 {
        let steps = abs(distance)
        let bucket =
            steps < past.count ? past[steps] : Self.bucket(steps, numBuckets: numBuckets, maxDistance: maxDistance)
        return distance > 0 ? bucket + UInt16(numBuckets / 2) : bucket
    }

    /// The bias row of a pair: by distance if the segments are equal, otherwise by the two segments.
    package func bucket(queryIndex: Int32, querySegment: Int32, keyIndex: Int32, keySegment: Int32) -> UInt16 {
        if querySegment == keySegment { return bucket(distance: Int(keyIndex) - Int(queryIndex)) }
        return UInt16(numBuckets + Int(querySegment) * segmentTypes + Int(keySegment))
    }

    /// `distance` while it is less than `exact`, then
    /// `exact + trunc(log(distance / exact) / log(maxDistance / exact) * (half - exact))`, at most `half - 1`.
    private static func bucket(_ distance: Int, numBuckets: Int, maxDistance: Int) -> UInt16 {
        let half = numBuckets / 2
        let exact = half / 2
        guard distance >= exact else { return UInt16(distance) }
        guard distance < maxDistance else { return UInt16(half - 1) }
        let ratio = log(Double(distance) / Double(exact)) / log(Double(maxDistance) / Double(exact))
        let scaled = ratio * Double(half - exact)
        // An exact power lies on an edge, and rounding must not push it below.
        let nearest = scaled.rounded()
        let rounded = abs(scaled - nearest) < 1e-9 ? nearest : scaled.rounded(.down)
        return UInt16(min(exact + Int(rounded), half - 1))
    }
}
