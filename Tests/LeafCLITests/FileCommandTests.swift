import Foundation
import GoldenSupport
import Testing

@Suite struct FileCommandTests {
    @Test func conversionReportsWhatItMade() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("a.leaf")
        let run = try Leafcutter.run(
            "convert", Golden.model("ant-tiny-a").appending(path: "hf").path, path, "--json", "-q")
        #expect(run.status == 0, "\(run.error)")
        for key in ["output", "parameters", "bytes", "seconds", "tensors", "weights", "peak_bytes", "bytes_per_second"]
        {
            #expect(run.json?[key] != nil, "\(key)")
        }
        let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        #expect(run.json?["bytes"] as? Int == size)
        // Nothing is replaced without being asked.
        let again = try Leafcutter.run("convert", Golden.model("ant-tiny-a").appending(path: "hf").path, path)
        #expect(again.status == 2)
        #expect(again.error.contains("--force"))
    }

    @Test func aSecondExportIntoAFolderIsRefusedAndRemovesNothing() throws {
        let folder = try TemporaryDirectory()
        let model = try Models.shared.get().demo
        let output = folder.path("hf")
        #expect(try Leafcutter.run("export", model, output, "-q").status == 0)
        let names = try FileManager.default.contentsOfDirectory(atPath: output).sorted()
        // As long as the first one lasts, it has the folder.
        let second = try Leafcutter.shell(#"exec flock "$2" "$0" export "$1" "$2" --force -q"#, model, output)
        #expect(second.status == 1 && second.error.contains("in use by another run"), "\(second.error)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: output).sorted() == names)
        #expect(try Leafcutter.run("export", model, output, "--force", "-q").status == 0)
    }

    @Test func inspectionShowsTheConfiguration() throws {
        let model = try Models.shared.get().demo
        let run = try Leafcutter.run("inspect", model, "--json", "--tensors")
        let configuration = try #require(run.json?["configuration"] as? [String: Any])
        #expect(configuration["dim_model"] as? Int == 256)
        #expect(configuration["vocab_size"] as? Int == 30720)
        #expect(run.json?["parameters"] as? Int == 12_666_112)
        #expect((run.json?["blocks"] as? [Any])?.count == 13)
        #expect((run.json?["tensors"] as? [Any])?.isEmpty == false)
        let text = try Leafcutter.run("inspect", model).text
        #expect(text.contains("12666112 (12.7 million)") && !text.contains("\nhead "))
    }

    @Test func inspectionShowsAHeadOfItsOwn() throws {
        let folder = try TemporaryDirectory()
        let source = Golden.root.appending(path: "models/ant-tiny-head/hf").path
        let converted = try Leafcutter.run("convert", source, folder.path("head.leaf"), "-q")
        #expect(converted.status == 0, "\(converted.error)")
        let text = try Leafcutter.run("inspect", folder.path("head.leaf")).text
        #expect(text.contains(/\nhead +a matrix of its own, not the token table\n/), "\(text)")
        // A number that no words shorten stands once.
        #expect(text.contains(/\nparameters +[0-9]+\n/), "\(text)")
    }

    /// The advice names what made the file, which is no conversion of a checkpoint here.
    @Test func aDamagedFileSaysWhatMakesItAgain() throws {
        let folder = try TemporaryDirectory()
        let demo = try Models.shared.get().demo
        let (copy, made) = (folder.path("copy.leaf"), folder.path("tiny.leaf"))
        #expect(try Leafcutter.run("requantize", demo, copy, "--weights", "q4", "-q").status == 0)
        #expect(try Leafcutter.run("synthesize", made, "--preset", "tiny", "-q").status == 0)
        let digest = try #require(try Leafcutter.run("inspect", demo, "--json").json?["digest"] as? String)
        for (path, remedy) in [
            (copy, "copy the file again, or requantize the int8 model with the digest \(digest) again"),
            (made, "copy or synthesize it again"),
        ] {
            var bytes = try Data(contentsOf: URL(filePath: path))
            bytes[bytes.count - 5000] ^= 1
            try bytes.write(to: URL(filePath: path))
            let run = try Leafcutter.run("verify", path, "-q")
            #expect(run.status == 1 && run.error.hasSuffix("fails its checksum; \(remedy)\n"), "\(run.error)")
        }
    }

    @Test func verificationFindsAFlippedBit() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("damaged.leaf")
        var bytes = try Data(contentsOf: URL(filePath: Models.shared.get().demo))
        #expect(try Leafcutter.run("verify", Models.shared.get().demo).status == 0)
        bytes[bytes.count / 2] ^= 4
        try bytes.write(to: URL(filePath: path))
        let run = try Leafcutter.run("verify", path, "-q")
        #expect(run.status == 1)
        #expect(run.error.hasPrefix("leafcutter verify: \(path)"))
        #expect(run.error.split(separator: "\n").count == 1)
    }

    @Test func tokensGoThereAndBack() throws {
        let model = try Models.shared.get().demo
        let input = "白日依山尽\n\n黄河入海流"
        let ids = try Leafcutter.run(["tokenize", model, "-"], input: input + "\n").text
        #expect(ids.split(separator: "\n", omittingEmptySubsequences: false).count == 4)
        #expect(try Leafcutter.run(["tokenize", model, "--decode"], input: ids).text == input + "\n")
        let json = try Leafcutter.run("tokenize", model, "白日\n依山", "--json").json
        #expect((json?["ids"] as? [Int])?.count == (json?["tokens"] as? [String])?.count)
        #expect((json?["ids"] as? [Int])?.contains(4) == true)
        #expect(try Leafcutter.run("tokenize", model, "白日依山尽", "--words").text.contains(" "))
        #expect(try Leafcutter.run("tokenize", model, "--decode", "6 x").status == 2)
        #expect(try Leafcutter.run("tokenize", model, "--decode", "99999").status == 1)
        let broken = try Leafcutter.shell(#"printf 'ok\n\377\n' | "$0" tokenize "$1" -"#, model)
        #expect(broken.status == 1)
        #expect(broken.error.contains("line 2"))
    }

    @Test func logitsEqualTheRecordedOnes() throws {
        let folder = try TemporaryDirectory()
        let (model, cases, output) = (folder.path("a.leaf"), folder.path("cases.json"), folder.path("out.safetensors"))
        try Models.convert(Golden.model("ant-tiny-a").appending(path: "hf-bin").path, to: model, weights: "f32")

        struct Forward: Decodable {
            struct Case: Decodable {
                let id: String
                let inputIds: [[Int]]
                let lengths: [Int]
            }
            let cases: [Case]
        }
        let forward = try Golden.decode(Forward.self, "models/ant-tiny-a/golden/forward.json")
        let recorded = try PlainSafetensors(Golden.model("ant-tiny-a").appending(path: "golden/tensors.safetensors"))
        let single = try #require(
            forward.cases.first { $0.inputIds.count == 1 && $0.lengths[0] == $0.inputIds[0].count })
        let input = single.inputIds[0].map { "\($0)" }.joined(separator: ",")
        try Data(#"{"cases":[{"id":"one","input_ids":[\#(input)]},{"id":"two","input_ids":[6,20]}]}"#.utf8)
            .write(to: URL(filePath: cases))
        let run = try Leafcutter.run("logits", model, "--input", cases, "--output", output, "--json", "-q")
        #expect(run.status == 0, "\(run.error)")

        let computed = try PlainSafetensors(URL(filePath: output))
        let rows = single.inputIds[0].count
        #expect(computed.shapes["one"] == [rows, 512])
        #expect(computed.shapes["two"] == [2, 512])
        let name = "forward.\(single.id).logits"
        let width = try #require(recorded.shapes[name]?.last)
        let expected = try #require(recorded.floats(name))
        let got = try #require(computed.floats("one"))
        for row in 0..<rows {
            for id in 0..<512 { #expect(abs(got[row * 512 + id] - expected[row * width + id]) < 1e-4) }
        }

        #expect(try Leafcutter.run("logits", model, "--input", cases, "--output", output, "--last", "-q").status == 0)
        let last = try PlainSafetensors(URL(filePath: output))
        #expect(last.shapes["one"] == [1, 512])
        #expect(last.floats("one") == Array(got.suffix(512)))
    }

    @Test func planNamesTheSmallestBudgetThatWorks() throws {
        let model = try Models.shared.get().demo
        let options = ["plan", model, "--context", "100", "--disk-rate", "1GB", "--json", "-q"]
        let small = try Leafcutter.run(options + ["--memory", "1MiB"])
        #expect(small.status == 3)
        #expect(small.json?["fits"] as? Bool == false)
        let minimum = try #require(small.json?["minimum"] as? Int)
        let run = try Leafcutter.run(options + ["--memory", "\(minimum)"])
        #expect(run.status == 0, "\(run.error)")
        #expect(run.json?["fits"] as? Bool == true)
        #expect(try Leafcutter.run(options + ["--memory", "\(minimum - 1)"]).status == 3)
        let parts = try #require(run.json?["parts"] as? [String: Int])
        #expect(parts.values.reduce(0, +) <= minimum)
        #expect(
            Set(parts.keys).isSuperset(of: ["runtime", "tokenizer", "resident", "kv", "scratch", "slots", "pinned"]))
        for key in [
            "budget", "blocks", "streamed_bytes_per_sweep", "kv_bytes_per_token", "max_context",
            "disk_bytes_per_second", "cost_of_computing", "cost_of_reading", "predicted",
        ] {
            #expect(run.json?[key] != nil, "\(key)")
        }
        let limited = try Leafcutter.run(options + ["--memory", "\(minimum)", "--max-read-rate", "100MB/s"])
        #expect(limited.json?["disk_bytes_per_second"] as? Double == 100e6)
        let predicted = try #require(limited.json?["predicted"] as? [String: Any])
        let streamed = try #require(limited.json?["streamed_bytes_per_sweep"] as? Double)
        #expect(predicted["reading_seconds_per_token"] as? Double == streamed / 100e6)
        #expect(try #require(run.json?["max_context"] as? Int) >= 100)
        // The same budget carries a generation of that size.
        let generated = try Leafcutter.run(
            "generate", model, "春", "--max-tokens", "60", "--memory", "\(minimum)", "--json", "-q")
        #expect(generated.status == 0, "\(generated.error)")
    }

    @Test func exportedModelsConvertBackToTheSame() throws {
        let folder = try TemporaryDirectory()
        let (exported, again) = (folder.path("hf"), folder.path("again.leaf"))
        let run = try Leafcutter.run("export", try Models.shared.get().exactDemo, exported, "--json", "-q")
        #expect(run.status == 0, "\(run.error)")
        try Models.convert(exported, to: again, weights: "int8")
        #expect(
            try Leafcutter.run("generate", again, "《登鹳雀楼》王之涣\n", "--greedy", "-q").text
                == Leafcutter.run("generate", Models.shared.get().demo, "《登鹳雀楼》王之涣\n", "--greedy", "-q").text)
    }

    @Test func aCheckpointIsConsumedOnlyIfSomebodySaysSo() throws {
        let folder = try TemporaryDirectory()
        let (source, model) = (folder.path("hf"), folder.path("m.leaf"))
        let original = Golden.model("ant-tiny-a").appending(path: "hf")
        try FileManager.default.copyItem(at: original, to: URL(filePath: source))
        let before = try FileManager.default.contentsOfDirectory(atPath: source).sorted()
        let refused = try Leafcutter.run("convert", source, model, "--consume")
        #expect(refused.status == 2 && refused.error.contains("--yes"), "\(refused.error)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: source).sorted() == before)
        let run = try Leafcutter.run("convert", source, model, "--consume", "--yes")
        #expect(run.status == 0 && run.error.contains("were deleted"), "\(run.error)")
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: source).sorted()
                == before.filter { !$0.hasSuffix(".safetensors") })
        #expect(try Leafcutter.run("verify", model).status == 0)
    }
}
