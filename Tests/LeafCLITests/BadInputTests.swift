import Foundation
import GoldenSupport
import Testing

/// Each wrong input ends in one sentence and the right exit code, and changes nothing.
@Suite struct BadInputTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func file(_ name: String, _ contents: Data) throws -> String {
        try contents.write(to: URL(filePath: folder.path(name)))
        return folder.path(name)
    }

    private func header(_ json: String) -> Data {
        withUnsafeBytes(of: UInt64(json.utf8.count).littleEndian) { Data($0) } + Data(json.utf8)
    }

    @Test func pathsThatAreNoModels() throws {
        let missing = folder.path("missing.leaf")
        for command in ["inspect", "verify", "plan", "doctor"] {
            try Leafcutter.expectRefusal([command, missing], 1, "no such file")
            try Leafcutter.expectRefusal([command, folder.url.path], 1, "directory")
        }
        try Leafcutter.expectRefusal(["generate", missing, "x"], 1, "no such file")
        try Leafcutter.expectRefusal(["tokenize", missing, "x"], 1, "no such file")
        try Leafcutter.expectRefusal(["convert", missing, folder.path("out.leaf")], 1, "no such file")
        try Leafcutter.expectRefusal(["convert", folder.url.path, folder.path("out.leaf")], 1, folder.url.path)
    }

    @Test func filesThatAreDamagedOrHostile() throws {
        let whole = try Data(contentsOf: URL(filePath: Models.shared.get().demo))
        let cases: [(String, Data)] = [
            ("empty", Data()),
            ("short", Data([1, 2, 3])),
            ("huge-header", Data([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F])),
            ("text", Data("this is not a model, but a text of some length\n".utf8)),
            ("no-model", header("{}")),
            ("deep", header(String(repeating: "[", count: 100_000))),
            ("cut-header", whole.prefix(500)),
            ("cut-data", whole.dropLast(4096)),
            ("longer", whole + Data(count: 4096)),
        ]
        for (name, contents) in cases {
            let path = try file("\(name).leaf", contents)
            try Leafcutter.expectRefusal(["inspect", path], 1, path)
            try Leafcutter.expectRefusal(["generate", path, "x"], 1, path)
        }
    }

    @Test func aModelOfANewerVersion() throws {
        var bytes = try Data(contentsOf: URL(filePath: Models.shared.get().demo))
        let version = try #require(bytes.range(of: Data(#""version":"1""#.utf8)))
        bytes[version.upperBound - 2] = UInt8(ascii: "9")
        try Leafcutter.expectRefusal(["inspect", try file("newer.leaf", bytes)], 1, "version 9")
    }

    @Test func promptsAndBudgetsThatDoNotFit() throws {
        let model = try Models.shared.get().demo
        try Leafcutter.expectRefusal(["generate", model, "x", "--memory", "1MiB"], 3, "needs at least")
        let run = try Leafcutter.run("generate", model, "春", "--max-tokens", "1", "--memory", "30MiB")
        #expect(run.status == 3 && run.error.contains("needs at least"), "\(run.error)")
        // The first advice is enough.
        let advised = String(try #require(run.error.firstMatch(of: /use --memory ([0-9]+MiB)/)).output.1)
        #expect(try Leafcutter.run("generate", model, "春", "--max-tokens", "1", "--memory", advised).status == 0)
        try Leafcutter.expectRefusal(["generate", model, "x", "--memory", "64KiB"], 3, "you gave 64.0 KiB")
        try Leafcutter.expectRefusal(["plan", model, "--memory", "1MiB"], 3, "needs at least")
        try Leafcutter.expectRefusal(["plan", model, "--memory", "2.5"], 2, "--memory 2.5 is not a size")
        try Leafcutter.expectRefusal(["plan", model, "--memory", "99999999999GiB"], 2, "99999999999GiB is too large")
        try Leafcutter.expectRefusal(["bench", model, "--memory", "1GiB,9999999TiB"], 2, "9999999TiB, which is too")
        try Leafcutter.expectRefusal(["plan", model, "--target", "99999999999min"], 2, "99999999999min is too large")
        try Leafcutter.expectRefusal(["serve", model, "--request-limit", "2.5"], 2, "limit 2.5 is not a size")
        try Leafcutter.expectRefusal(["generate", model, "--ids", "6,30720"], 2, "30720")
        try Leafcutter.expectRefusal(["generate", model, "--ids", "6,-1"], 2, "-1")
        try Leafcutter.expectRefusal(["generate", model, "--ids", ""], 2, "--ids needs a value")
        try Leafcutter.expectRefusal(["generate", model, "x", "--task", "32"], 2, "32")
        try Leafcutter.expectRefusal(["generate", model, "x", "--segment", "99"], 2, "99")
        try Leafcutter.expectRefusal(["generate", model, "x", "--eos-id", "30720"], 2, "30720")
        try Leafcutter.expectRefusal(["generate", model, "x", "--stop", ""], 2, "stop")
        try Leafcutter.expectRefusal(
            ["generate", model, "x", "--max-tokens", "9999999", "--memory", "1GiB"], 3, "needs at least")
    }

    @Test func anUnwritableOutput() throws {
        let model = try Models.shared.get().demo
        let cases = try file("cases.json", Data(#"{"cases":[{"id":"a","input_ids":[6]}]}"#.utf8))
        try Leafcutter.expectRefusal(
            ["logits", model, "--input", cases, "--output", "/proc/none/out"], 1, "/proc/none/out")
        try Leafcutter.expectRefusal(["convert", Golden.demoModel.path, "/proc/none/out.leaf"], 1, "/proc/none")
    }

    @Test func casesThatMakeNoSense() throws {
        let model = try Models.shared.get().demo
        let output = folder.path("out.safetensors")
        let cases: [(String, Int32, String)] = [
            ("nonsense", 1, "not valid JSON"),
            ("{}", 1, "'cases' is missing"),
            (#"{"cases":[{"input_ids":[6]}]}"#, 1, "'id' is missing"),
            (#"{"cases":[{"id":"a"}]}"#, 2, "input_ids"),
            (#"{"cases":[{"id":"a","input_ids":[6,99999]}]}"#, 2, "99999"),
            (#"{"cases":[{"id":"a","input_ids":[6]},{"id":"a","input_ids":[6]}]}"#, 2, "two cases"),
            (#"{"cases":[{"id":"__metadata__","input_ids":[6]}]}"#, 2, "__metadata__"),
        ]
        for (json, status, part) in cases {
            let input = try file("cases.json", Data(json.utf8))
            try Leafcutter.expectRefusal(["logits", model, "--input", input, "--output", output], status, part)
            #expect(!FileManager.default.fileExists(atPath: output))
            #expect(!FileManager.default.fileExists(atPath: output + ".part"))
        }
    }

    @Test func picklesThatCallFunctions() throws {
        let source = Golden.root.appending(path: "import/refused-system.pt")
        try Leafcutter.expectRefusal(
            ["convert", source.path, folder.path("out.leaf"), "--config", configuration], 1, "system")
    }

    @Test func textThatIsNotUTF8() throws {
        let model = try Models.shared.get().demo
        let run = try Leafcutter.shell(#"printf 'a\377' | "$0" generate "$1" -"#, model)
        #expect(run.status == 1)
        #expect(run.error == "leafcutter generate: standard input is not valid UTF-8; convert it first\n")
    }

    @Test(arguments: ["auto", "buffered", "map"]) func aModelThatIsOverwrittenWhileItIsUsed(mode: String) throws {
        let model = folder.path("model.leaf")
        try FileManager.default.copyItem(atPath: Models.shared.get().demo, toPath: model)
        let words = "春 --greedy --max-tokens 400 --allow-empty --eos-id 0 -q"
        let whole = try Leafcutter.shell(#""$0" generate "$1" \#(words)"#, model)
        #expect(whole.status == 0, "\(whole.error)")
        let run = try Leafcutter.shell(
            #"""
            "$0" generate "$1" \#(words) --memory 46MiB --max-read-rate 40MB/s --io \#(mode) > "$1.text" & pid=$!
            until [ -s "$1.text" ] || ! kill -0 $pid; do sleep 0.05; done
            dd if=/dev/zero of="$1" bs=1M seek=4 count=4 conv=notrunc status=none
            wait $pid; status=$?; cat "$1.text"; exit $status
            """#, model)
        #expect(run.status == 1, "\(run.error)")
        #expect(run.error.contains("model.leaf was written to while it was in use"), "\(run.error)")
        #expect(run.error.split(separator: "\n").count == 1, "\(run.error)")
        // Nothing of the other model's came out.
        #expect(whole.text.hasPrefix(run.text.trimmingCharacters(in: .newlines)))
    }

    private var configuration: String {
        Golden.model("ant-tiny-a").appending(path: "cpm-live/ant-tiny-a.json").path
    }
}
