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

    @Test func thereAreCases() { #expect(Self.cases.count == 9) }

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
        try withCopy(of: "greedy.session") { copy in
            let run = try Leafcutter.run(
                "generate", Self.folder.appendingPathComponent("version-1.leaf").path, "今天 天气", "--greedy", "--seed",
                "3",
                "-n", "2", "--logprobs", "2", "--repetition-penalty", "1.3", "--max-tokens", "5", "-q", "--session",
                copy)
            #expect(run.status == 0, "\(run.error)")
        }
    }

    /// Its random tokens were drawn otherwise, so that it could not be finished with the same bytes.
    @Test func aSampledSessionOfTheFirstRulesIsRefusedInOneSentence() throws {
        try withCopy(of: "sampling.session") { copy in
            let sentence =
                "is a session by rules 1, saved by Leafcutter 0.1.0; this Leafcutter samples by rules 2 alone"
            try Leafcutter.expectRefusal(
                [
                    "generate", Self.folder.appendingPathComponent("version-1.leaf").path, "今天 天气", "--seed", "3", "-n",
                    "2", "--logprobs", "2", "--max-tokens", "12", "-q", "--session", copy,
                ], 1, sentence)
            try Leafcutter.expectRefusal(["inspect", copy], 1, sentence)
        }
    }

    /// - Parameter body: has to leave the copy as it is.
    private func withCopy(of session: String, _ body: (_ path: String) throws -> Void) throws {
        let temporary = try TemporaryDirectory()
        let source = Self.folder.appendingPathComponent(session)
        let copy = temporary.path(session)
        try FileManager.default.copyItem(atPath: source.path, toPath: copy)
        try body(copy)
        #expect(try Data(contentsOf: URL(filePath: copy)) == Data(contentsOf: source))
    }
}
