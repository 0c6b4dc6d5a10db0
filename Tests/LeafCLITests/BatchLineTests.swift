import Foundation
import GoldenSupport
import Testing

/// `batch`: what lines call themselves, and what they may not ask for.
@Suite struct BatchLineTests: BatchSuite {
    let folder: TemporaryDirectory
    let model: String

    init() throws { (folder, model) = try Models.demoWithFolder() }

    private static func line(_ names: String, _ body: String, _ route: String = "completions") -> String {
        #"{\#(names),"url":"/v1/\#(route)","body":{\#(body)}}"#
    }

    @Test func aNameOfAnotherTypeIsSaidToBeOne() throws {
        let cases = [
            (
                Self.line(#""custom_id":7,"method":"POST""#, #""prompt":"a""#),
                "'custom_id' is a number, where a text is wanted"
            ),
            (Self.line(#""custom_id":"a","method":1"#, #""prompt":"a""#), "'method' is a number"),
            (
                #"{"id":true,"kind":"generate","prompt":"春"}"#,
                "'id' is true or false, where a text or a whole number is wanted"
            ),
            (#"{"id":1.5,"kind":"generate","prompt":"春"}"#, "'id' is 1.5, where a text or a whole number is wanted"),
        ]
        for (line, part) in cases {
            let run = try batch([line])
            #expect(run.status == 2 && run.error.contains(", line 1: \(part)"), "\(run.error)")
        }
    }

    @Test func whatNoRequestChoosesIsRefused() throws {
        let names = #""custom_id":"a","method":"POST""#
        for field in ["session", "trace", "draft_corpus", "speculate"] {
            let chosen = #""\#(field)":"x""#
            for line in [
                Self.line(names, #""prompt":"a",\#(chosen)"#),
                Self.line(names, #""input":"a",\#(chosen)"#, "embeddings"),
                Self.line(names, #""messages":[{"role":"user","content":"a"}],\#(chosen)"#, "chat/completions"),
            ] {
                let run = try batch([line])
                let sentence = "'\(field)' is not for a request to choose"
                #expect(run.status == 2 && run.error.contains(sentence), "\(run.error)")
            }
        }
    }

    /// What stands before the fault may be the beginning of another number.
    @Test(arguments: [#"{"id":01,"kind":"generate","prompt":"春"}"#, #"{"id":12"#, #"{"id":1 2}"#, #"{"id":3x}"#])
    func aDamagedNumberIsNoID(line: String) throws {
        #expect(try batch([line], "--skip-bad").status == 1)
        let answers = try jsonObjects(String(contentsOfFile: output, encoding: .utf8))
        #expect(answers.count == 1 && answers[0]["id"] is NSNull, "\(answers)")
        #expect((answers[0]["error"] as? String)?.contains("not valid JSON") == true, "\(answers)")
        let run = try Leafcutter.run(
            ["generate", model, "--requests", "-", "--skip-bad", "-q"], input: line + "\n")
        #expect(try jsonObjects(run.text).first?["id"] is NSNull, "\(run.text) \(run.error)")
    }

    @Test func anIDThatIsNoneTakesNoOthersPlace() throws {
        let good = #""kind":"generate","prompt":"春","max_tokens":1}"#
        let lines = [
            #"{"id":true,"# + good, #"{"id":1,"# + good, #"{"id":[3],"# + good, #"{"id":3,"# + good,
            Self.line(#""custom_id":5,"method":"POST""#, #""prompt":"a""#), #"{"id":5,"# + good,
        ]
        for _ in 0..<2 {
            #expect(try batch(lines, "--skip-bad", "--resume").status == 1)
            let answers = try jsonObjects(String(contentsOfFile: output, encoding: .utf8))
            #expect(answers.count == 6)
            let texts = answers.filter { $0["text"] != nil }
            #expect(Set(texts.compactMap { $0["id"] as? Int }) == [1, 3, 5])
            let failed = answers.filter { $0["text"] == nil }
            #expect(failed.allSatisfy { ($0["custom_id"] ?? $0["id"]) is NSNull }, "\(failed)")
        }
    }
}
