import Foundation
import GoldenSupport
import Testing

@Suite struct CompressedTests {
    private static func golden(_ name: String) -> String { Golden.root.appending(path: "compressed/\(name)").path }

    @Test func aPrunedModelConvertsWithItsMasks() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("pruned.leaf")
        let without = try Leafcutter.run("convert", Self.golden("pruned.pt"), path)
        #expect(without.status == 2 && without.error.contains("use --masks FILE"))
        let convert = try Leafcutter.run(
            "convert", Self.golden("pruned.pt"), path, "--masks", Self.golden("masks.pt"), "-q")
        #expect(convert.status == 0, "\(convert.error)")

        #expect(try Leafcutter.run("verify", path, "-q").status == 0)
        #expect(try Leafcutter.run("inspect", path).text.contains("1 to 4 of 5 to 12"))
        let inspection = try Leafcutter.run("inspect", path, "--json").json
        let configuration = try #require(inspection?["configuration"] as? [String: Any])
        let sizes = try #require(configuration["layer_sizes"] as? [[String: Any]])
        #expect(sizes.map { $0["heads"] as? [Int] } == [[1, 3], [0, 1, 2, 3], nil, [2], nil])
        #expect(sizes.map { $0["dim_ff"] as? Int } == [19, nil, 40, 33, nil])
        let ids = try Leafcutter.run("generate", path, "--ids", "6,20,30", "--max-tokens", "3", "--greedy", "--json")
        #expect((ids.json?["ids"] as? [Int])?.count == 3, "\(ids.error)")
        #expect(try Leafcutter.run("export", path, folder.path("hf")).status == 1)
    }

    @Test func antPlusTakesText() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("plus.leaf")
        let convert = try Leafcutter.run(
            "convert", Self.golden("plus.pt"), path, "--vocab", Self.golden("plus.txt"), "-q")
        #expect(convert.status == 0, "\(convert.error)")
        #expect(try Leafcutter.run("inspect", path).text.contains("CPM-Ant+"))
        #expect(try Leafcutter.run("tokenize", path, "<s> the喵喵").text == "10 15 30 1\n")
        let text = try Leafcutter.run("generate", path, "今天天气", "--max-tokens", "4", "--greedy", "--json")
        #expect((text.json?["text"] as? String)?.isEmpty == false, "\(text.error)")
        // And back: transformers has no such tokenizer, our own conversion knows the vocabulary again.
        #expect(try Leafcutter.run("export", path, folder.path("hf"), "-q").status == 0)
        let json = try String(contentsOfFile: folder.path("hf/config.json"), encoding: .utf8)
        #expect(!json.contains("tokenizer_class"))
        #expect(try Leafcutter.run("convert", folder.path("hf"), folder.path("again.leaf"), "-q").status == 0)
        #expect(try Leafcutter.run("tokenize", folder.path("again.leaf"), " solution").text == "31\n")
    }
}
