import Foundation
import GoldenSupport
import LeafFormat
import LeafSystem
import Testing

@Suite("small JSON files") struct SmallJSONTests {
    private struct Sample: Decodable {
        let sizes: [Int]
    }

    @Test(arguments: [
        ("{}", "is not a list of sizes: sizes is missing"), ("{\"sizes\":4}", "sizes has the wrong type"),
        ("{\"sizes\":[1,\"a\"]}", "sizes.Index 1 has the wrong type"), ("[]", "the JSON has the wrong type"),
        ("{", "the JSON is broken"), ("", "the JSON is broken"), ("\u{0}", "the JSON is broken"),
        ("{\"sizes\":[]}" + String(repeating: " ", count: 100), "has 112 B, too much for a list of sizes"),
    ])
    func aSmallJSONThatIsNotWhatItShouldBeIsExplained(json: String, reason: String) throws {
        let folder = try TemporaryDirectory()
        try Data(json.utf8).write(to: URL(filePath: folder.path("x.json")))
        let error = failure {
            _ = try InputFile(path: folder.path("x.json")).json(Sample.self, atMost: 100, what: "a list of sizes")
        }
        #expect(error?.kind == .badInput && error?.description.contains(reason) == true, "\(error!)")
    }
}
