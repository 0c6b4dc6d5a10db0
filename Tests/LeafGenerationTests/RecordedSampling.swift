import Foundation

/// What CPM-Live's filters and penalty make of given logits: Tests/Golden/sampling.json.
struct RecordedSampling: Decodable {
    struct Filter: Decodable {
        let logits: String
        let temperature: Float
        let topK: Int
        let topP: Float
        let liveKept: [Int]
        let liveProbabilitiesOfKept: [Float]
        /// How close a sum of probabilities comes to top-p.
        let topPMargin: Double?
    }

    struct Penalty: Decodable {
        let previousIds: [Int32]
        /// Where the generated tokens begin.
        let liveStartIndex: Int?
        let liveWindow: Int?
        let penalty: Float
        let liveResult: [Float]
    }

    /// A float that may be written as "-inf".
    struct Number: Decodable {
        let value: Float

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            value = (try? container.decode(String.self)) == "-inf" ? -.infinity : try container.decode(Float.self)
        }
    }

    let logitVectors: [String: [Number]]
    let filters: [Filter]
    let penaltyLogits: [Float]
    let repetitionPenalty: [Penalty]

    static func load() throws -> RecordedSampling {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(
            RecordedSampling.self, from: Data(contentsOf: tests.appending(path: "Golden/sampling.json")))
    }
}
