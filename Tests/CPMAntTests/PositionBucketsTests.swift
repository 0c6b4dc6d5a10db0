import CPMAnt
import GoldenSupport
import Testing

@Suite("Position buckets") struct PositionBucketsTests {
    struct Cases: Decodable {
        struct Case: Decodable {
            let numBuckets: Int
            let maxDistance: Int
            let firstDistance: Int
            let lastDistance: Int
            let buckets: [Int]
        }
        let cases: [Case]
    }

    @Test func everyDistanceFallsIntoTheReferenceBucket() throws {
        for golden in try Golden.decode(Cases.self, "position_buckets.json").cases {
            // With a table of all distances, of some, and of one.
            for longest in [1 << 20, 100, 1] {
                let buckets = PositionBuckets(
                    numBuckets: golden.numBuckets, maxDistance: golden.maxDistance, segmentTypes: 4, longest: longest)
                let mine = (golden.firstDistance...golden.lastDistance).map { Int(buckets.bucket(distance: $0)) }
                #expect(mine == golden.buckets, "\(golden.numBuckets) buckets to \(golden.maxDistance)")
            }
        }
    }

    /// A header may name a distance of 2^30; the table is as long as the context.
    @Test func theTableIsBoundedByTheLongestText() {
        #expect(PositionBuckets.byteCount(maxDistance: 1 << 30, longest: 1000) == 2000)
        #expect(PositionBuckets.byteCount(maxDistance: 100, longest: 1 << 40) == 202)
        let buckets = PositionBuckets(numBuckets: 512, maxDistance: 1 << 30, segmentTypes: 2, longest: 10)
        #expect(buckets.bucket(distance: -(1 << 30)) == 255 && buckets.bucket(distance: 1 << 30) == 511)
        #expect(buckets.bucket(distance: -9) == 9 && buckets.bucket(distance: 127) == 256 + 127)
    }

    @Test func otherSegmentsHaveABucketForEachPair() {
        let buckets = PositionBuckets(numBuckets: 512, maxDistance: 2048, segmentTypes: 32, longest: 64)
        #expect(buckets.bucket(queryIndex: 40, querySegment: 2, keyIndex: 3, keySegment: 0) == 512 + 64)
        #expect(buckets.bucket(queryIndex: 3, querySegment: 0, keyIndex: 40, keySegment: 2) == 512 + 2)
        #expect(buckets.bucket(queryIndex: 3, querySegment: 2, keyIndex: 40, keySegment: 2) == 256 + 37)
    }
}
