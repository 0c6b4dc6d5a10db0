import Foundation
import GoldenSupport
import Testing

/// Files of formats that were released are read for as long as there is a Leafcutter, and give the bytes that they
/// gave.
@Suite struct ReleasedFormatTests {
    private static let folder = Golden.root.appendingPathComponent("formats")

    private static var cases: [[String: Any]] {
        let data = try? Data(contentsOf: folder.appendingPathComponent("expected.json"))
        let object = data.flatMap { try? JSONSerialization.jsonObject(with: $0) } as? [String: Any]
        return object?["cases"] as? [[String: Any]] ?? []
    }

    @Test func thereAreCases() { #expect(Self.cases.count == 6) }

    @Test(arguments: cases.compactMap { $0["name"] as? String }) func aCaseGivesWhatItGave(name: String) throws {
        let item = try #require(Self.cases.first { $0["name"] as? String == name })
        let file = try #require(item["file"] as? String)
        let options = try #require(item["options"] as? [String])
        let answer = try #require(item["answer"] as? [String: Any])
        var arguments = ["generate", Self.folder.appendingPathComponent(file).path] + options + ["--json", "-q"]
        let temporary = try TemporaryDirectory()
        let session = item["session"] as? String
        if let session {
            let copy = temporary.path(session)
            try FileManager.default.copyItem(atPath: Self.folder.appendingPathComponent(session).path, toPath: copy)
            arguments += ["--session", copy]
        }
        let run = try Leafcutter.run(arguments)
        #expect(run.status == 0, "\(run.error)")
        for (key, value) in answer { #expect(run.json?[key] as? NSObject == value as? NSObject, "\(key)") }
        if session != nil {
            let fields = try #require(run.json?["session"] as? [String: Any])
            #expect(fields["resumed_tokens"] as? Int == 10)
        }
    }

    @Test(arguments: [("version-1.leaf", 5), ("version-2.leaf", 7)]) func aFileIsWhole(name: String, blocks: Int) throws
    {
        let run = try Leafcutter.run("verify", Self.folder.appendingPathComponent(name).path, "--json", "-q")
        #expect(run.status == 0, "\(run.error)")
        #expect(run.json?["blocks"] as? Int == blocks)
    }

    /// A session that nothing is added to stays as it is, byte for byte.
    @Test func aSessionIsNotWrittenAgainWhereNothingIsNew() throws {
        let temporary = try TemporaryDirectory()
        let source = Self.folder.appendingPathComponent("sampling.session")
        let copy = temporary.path("a.session")
        try FileManager.default.copyItem(atPath: source.path, toPath: copy)
        let model = Self.folder.appendingPathComponent("version-1.leaf").path
        let run = try Leafcutter.run(
            "generate", model, "今天 天气", "--seed", "3", "-n", "2", "--logprobs", "2", "--max-tokens", "5", "-q",
            "--session", copy)
        #expect(run.status == 0, "\(run.error)")
        #expect(try Data(contentsOf: URL(filePath: copy)) == Data(contentsOf: source))
    }
}
