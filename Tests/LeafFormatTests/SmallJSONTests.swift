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
        ("{}", "is not a list of sizes: 'sizes' is missing"), ("{\"sizes\":4}", "'sizes' is not of the right kind"),
        ("{\"sizes\":[1,\"a\"]}", "'sizes[1]' is not of the right kind"), ("[]", "the value is not of the right kind"),
        ("{", "it is not valid JSON"), ("", "it is not valid JSON"), ("\u{0}", "it is not valid JSON"),
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
