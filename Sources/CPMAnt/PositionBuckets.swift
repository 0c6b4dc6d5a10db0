#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The bucket of the relative position bias for a pair of places: CPM-Ant's rule, in integers.
///
/// - Source: CPM-Ant reference, section 2.4. The table is made with the reference's formula in double precision; no
///   distance in use lies close enough to an edge for the precision to matter, and the exact powers of two are edges
///   themselves.
public struct PositionBuckets: Sendable {
    private let numBuckets: Int
    private let segmentTypes: Int
    /// Bucket of a distance to an earlier or the same place; the last entry holds for everything farther.
    private let past: [UInt16]

    public init(numBuckets: Int, maxDistance: Int, segmentTypes: Int) {
        self.numBuckets = numBuckets
        self.segmentTypes = segmentTypes
        let half = numBuckets / 2
        let exact = half / 2
        var past: [UInt16] = []
        var distance = 0
        while true {
            let bucket =
                distance < exact ? distance : Self.far(distance, exact: exact, half: half, maxDistance: maxDistance)
            past.append(UInt16(bucket))
            if bucket >= half - 1 || distance > maxDistance { break }
            distance += 1
        }
        self.past = past
    }

    /// - Parameters:
    ///   - distance: key index minus query index.
    /// - Returns: a row of the bias table.
    public func bucket(distance: Int) -> UInt16 {
        let bucket = past[min(abs(distance), past.count - 1)]
        return distance > 0 ? bucket + UInt16(numBuckets / 2) : bucket
    }

    /// The bias row of a pair: by distance within a segment, by the pair of segments otherwise.
    public func bucket(queryIndex: Int32, querySegment: Int32, keyIndex: Int32, keySegment: Int32) -> UInt16 {
        if querySegment == keySegment { return bucket(distance: Int(keyIndex) - Int(queryIndex)) }
        return UInt16(numBuckets + Int(querySegment) * segmentTypes + Int(keySegment))
    }

    /// `exact + trunc(log(distance / exact) / log(maxDistance / exact) * (half - exact))`, at most `half - 1`.
    private static func far(_ distance: Int, exact: Int, half: Int, maxDistance: Int) -> Int {
        let ratio = log(Double(distance) / Double(exact)) / log(Double(maxDistance) / Double(exact))
        let scaled = ratio * Double(half - exact)
        // An exact power sits on an edge; rounding must not push it below.
        let nearest = scaled.rounded()
        let place = abs(scaled - nearest) < 1e-9 ? nearest : scaled.rounded(.down)
        return min(exact + Int(place), half - 1)
    }
}
