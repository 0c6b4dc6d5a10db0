import Foundation
import Testing

/// Recorded results of CPM-Live's tokenizer: Tests/Golden/tokenizer/tokenizer.json.
struct Golden: Decodable {
    struct Case: Decodable, CustomTestStringConvertible {
        let category: String
        let text: String
        let jieba: [String]
        let liveIDs: [Int32]
        let liveDecoded: String
        let liveRoundTrip: Bool

        enum CodingKeys: String, CodingKey {
            case category, text, jieba
            case liveIDs = "live_ids"
            case liveDecoded = "live_decoded"
            case liveRoundTrip = "live_round_trip"
        }

        var testDescription: String { "\(category) \(text.prefix(20).debugDescription)" }
    }

    struct Decoding: Decodable {
        let ids: [Int32]
        let liveDecoded: String

        enum CodingKeys: String, CodingKey {
            case ids
            case liveDecoded = "live_decoded"
        }
    }

    let cases: [Case]
    let decode: [Decoding]

    static let recorded: Golden = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let file = folder.appending(path: "Golden/tokenizer/tokenizer.json")
        do {
            return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
        } catch {
            preconditionFailure("\(file.path): \(error)")
        }
    }()
}
