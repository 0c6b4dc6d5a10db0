import Foundation
import GoldenSupport
import Testing

/// What guesses, as it is typed and as it is told of.
@Suite struct DraftCommandTests {
    private static let title = "《登鹳雀楼》王之涣\n"
    private let folder: TemporaryDirectory
    private let model: String

    init() throws {
        folder = try TemporaryDirectory()
        model = try Models.shared.get().demo
    }

    @Test(arguments: [("ngrams", "ngram"), ("Off", "off"), ("aut", "auto")])
    func aWordThatIsNoFileIsSuggested(word: String, meant: String) throws {
        let run = try Leafcutter.run("generate", model, "春", "--speculate", word, "-q")
        #expect(run.status == 2 && run.error.contains("did you mean '\(meant)'?"), "\(run.error)")
        let missing = try Leafcutter.run("generate", model, "春", "--speculate", folder.path("draft.leaf"), "-q")
        #expect(missing.status == 1 && missing.error.contains("no such file"), "\(missing.error)")
    }

    @Test func aCorpusThatNothingReadsIsRefused() throws {
        let corpus = try folder.file([Self.title])
        let requests = try folder.file([#"{"id":1,"kind":"generate","prompt":"春","max_tokens":2}"#])
        for words in [["generate", model, "春"], ["batch", model, requests, folder.path("out.jsonl")]] {
            for mode in ["off", model] {
                let run = try Leafcutter.run(words + ["--speculate", mode, "--draft-corpus", corpus, "-q"])
                #expect(run.status == 2, "\(run.error)")
                #expect(run.error.contains("use --speculate ngram or auto"), "\(run.error)")
            }
        }
    }

    /// The poem stands in the corpus, so that n-grams guess it.
    @Test func aSummarySaysWhatDraftsCameTo() throws {
        let request = #"{"prompt":"\#(Self.title.dropLast())\n","greedy":true,"max_tokens":24}"#
        let drafting = [
            "--speculate", "ngram", "--draft-tokens", "4", "--draft-corpus",
            try folder.file(["白日依山尽，黄河入海流。", "欲穷千里目，更上一层楼。"]), "--memory", "160MiB", "-q",
        ]
        let run = try Leafcutter.run(
            ["generate", model, "--requests", try folder.file([request, request])] + drafting)
        #expect(run.status == 0, "\(run.error)")
        let each = try run.objects.map { try #require($0["speculation"] as? [String: Any]) }
        let all = try #require(run.summary?["speculation"] as? [String: Any])
        #expect(all["mode"] as? String == "ngram" && all["draft_seconds"] is Double)
        for name in ["drafted", "accepted"] {
            let counts = each.compactMap { $0[name] as? Int }
            #expect(counts.count == 2 && all[name] as? Int == counts.reduce(0, +), "\(all)")
        }
        #expect(try #require(all["accepted"] as? Int) > 0)
        // Both texts are the same, and so is what they got on average.
        #expect(try #require(all["tokens_per_sweep"] as? Double) > 1)

        let line = #"{"id":1,"kind":"generate","# + request.dropFirst()
        let batch = try Leafcutter.run(
            ["batch", model, try folder.file([line]), folder.path("out.jsonl"), "--json"] + drafting)
        let facts = try #require(batch.json?["speculation"] as? [String: Any], "\(batch.error)")
        #expect(try #require(facts["accepted"] as? Int) > 0 && Set(facts.keys) == Set(all.keys))
        // What has no drafts tells of none.
        let embedded = try Leafcutter.run("embed", model, "--requests", try folder.file([#"{"text":"春"}"#]), "-q")
        #expect(embedded.summary != nil && embedded.summary?["speculation"] == nil)
    }
}
