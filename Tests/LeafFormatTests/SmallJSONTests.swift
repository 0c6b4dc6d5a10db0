import Foundation
import GoldenSupport
import LeafFormat
import LeafSystem
import Testing

@Suite("small JSON files") struct SmallJSONTests {
    private struct Sample: Decodable {
        let sizes: [Int]
    }

    private func read(_ json: [UInt8]) throws -> [Int] {
        let folder = try TemporaryDirectory()
        try Data(json).write(to: URL(filePath: folder.path("x.json")))
        return try InputFile(path: folder.path("x.json")).json(Sample.self, atMost: 1000, what: "a list of sizes").sizes
    }

    /// What Python's `json.dump` writes of floats and of texts that were cut in a character.
    @Test(arguments: [
        "NaN", "Infinity", "-Infinity", #"[1, NaN, {"a": -Infinity}]"#, #""\ud83d""#, #""春\udc00天""#,
        #""\ud83d\u0041""#,
        #"{"\ud800": 1, "\udc00": {"b": "\uDBFF"}}"#, #"["\ud83d\ude00", "\ud83d"]"#, "-0.0e+5", "null",
    ])
    func whatPythonAloneWritesDoesNoHarmWhereItIsNotRead(value: String) throws {
        #expect(try read(Array("{\"sizes\":[1,2],\"other\":\(value)}".utf8)) == [1, 2])
        #expect(try read(Array("{\"other\" : \(value) , \"sizes\":[1,2]}\n".utf8)) == [1, 2])
    }

    @Test(arguments: ["NaN", "[Infinity]", "[1,-Infinity]", #""\ud83d""#, #"["\ud83d"]"#])
    func whereItIsReadTheKeyIsNamed(value: String) {
        let error = failure { _ = try read(Array("{\"sizes\":\(value)}".utf8)) }
        #expect(error?.kind == .badInput)
        #expect(error?.description.contains("is not a list of sizes: 'sizes") == true, "\(error!)")
    }

    private static let refused: [(json: String, place: String)] = [
        (#"{"sizes":[1,],"a":1}"#, "at byte 13"), ("{\"sizes\":[],\"a\":\"\t\"}", "at byte 18"),
        (#"{"sizes":[],}"#, "at byte 13"), ("{'sizes':[]}", "at byte 2"), (#"{"sizes":[]} //"#, "at byte 14"),
        (#"{"sizes":[],"a":nan}"#, "at byte 17"), (#"{"sizes":[],"a":+1}"#, "at byte 17"),
        (#"{"sizes":[],"a":"\ud8"}"#, "at byte 18"), (#"{"sizes":[],"a":-Infinit}"#, "at byte 18"),
    ]

    @Test(arguments: refused) func whatPythonRefusesIsRefusedWithItsPlace(json: String, place: String) {
        expectRefusal(Array(json.utf8), place)
    }

    @Test func whatIsNoUTF8IsRefused() {
        expectRefusal(Array(#"{"sizes":[],"a":""#.utf8) + [0xFF, 0x22, 0x7D], "not valid UTF-8")
        expectRefusal(Array(#"{"sizes":[]}"#.utf8).flatMap { [$0, 0] }, "at byte 2")
    }

    private func expectRefusal(_ json: [UInt8], _ place: String) {
        let error = failure { _ = try read(json) }
        #expect(error?.kind == .badInput)
        #expect(error?.description.contains("it is not valid JSON: ") == true, "\(error!)")
        #expect(error?.description.contains(place) == true, "\(error!)")
    }

    @Test(arguments: [
        ("{}", "is not a list of sizes: 'sizes' is missing"), ("{\"sizes\":4}", "'sizes' is no list"),
        ("{\"sizes\":[1,\"a\"]}", "'sizes[1]' is no number"), ("[]", "the value is no object"),
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
