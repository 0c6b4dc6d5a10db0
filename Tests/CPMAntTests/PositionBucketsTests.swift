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
            let buckets = PositionBuckets(
                numBuckets: golden.numBuckets, maxDistance: golden.maxDistance, segmentTypes: 4)
            let mine = (golden.firstDistance...golden.lastDistance).map { Int(buckets.bucket(distance: $0)) }
            #expect(mine == golden.buckets, "\(golden.numBuckets) buckets to \(golden.maxDistance)")
        }
    }

    @Test func otherSegmentsHaveABucketForEachPair() {
        let buckets = PositionBuckets(numBuckets: 512, maxDistance: 2048, segmentTypes: 32)
        #expect(buckets.bucket(queryIndex: 40, querySegment: 2, keyIndex: 3, keySegment: 0) == 512 + 64)
        #expect(buckets.bucket(queryIndex: 3, querySegment: 0, keyIndex: 40, keySegment: 2) == 512 + 2)
        #expect(buckets.bucket(queryIndex: 3, querySegment: 2, keyIndex: 40, keySegment: 2) == 256 + 37)
    }
}
