import Foundation
import GoldenSupport
import Testing

@Suite struct SynthesizeTests {
    @Test func synthesisReportsWhatItMade() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("tiny.leaf")
        let run = try Leafcutter.run("synthesize", path, "--preset", "tiny", "--seed", "7", "--json", "-q")
        #expect(run.status == 0, "\(run.error)")
        for key in ["output", "preset", "seed", "parameters", "bytes", "seconds", "weights", "peak_bytes"] {
            #expect(run.json?[key] != nil, "\(key)")
        }
        let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        #expect(run.json?["bytes"] as? Int == size)
        #expect(run.json?["seed"] as? Int == 7)
        #expect(try Leafcutter.run("verify", path).status == 0)
        #expect(try Leafcutter.run("generate", path, "你好", "--max-tokens", "4", "-q").status == 0)
        // Nothing is replaced without being asked.
        let again = try Leafcutter.run("synthesize", path, "--preset", "tiny")
        #expect(again.status == 2)
        #expect(again.error.contains("--force"))
        #expect(try Leafcutter.run("synthesize", path, "--preset", "tiny", "--force", "-q").status == 0)
    }

    /// The addresses of the program that users get: a debug build, or one under a sanitizer, takes many more.
    @Test(.enabled(if: Leafcutter.isShipped)) func memoryThatTheSystemRefusesEndsInASentence() throws {
        let folder = try TemporaryDirectory()
        for kibibytes in stride(from: 52_000, through: 72_000, by: 2000) {
            let run = try Leafcutter.shell(
                #"ulimit -v \#(kibibytes); exec "$0" synthesize "$1" --preset tiny --force -q"#, folder.path("a.leaf"))
            #expect([0, 1, 3].contains(run.status), "\(kibibytes) KiB: \(run.status) \(run.error)")
            #expect(run.status == 0 || run.error.split(separator: "\n").count == 1, "\(run.error)")
        }
    }

    @Test func whatCannotBeMadeIsRefusedInOneSentence() throws {
        let folder = try TemporaryDirectory()
        let demo = try Models.shared.get().demo
        let exactDemo = try Models.shared.get().exactDemo
        for (words, reason) in [
            ([], "--preset"), (["--preset", "cpm-ant-2b"], "cpm-ant-2b"), (["--preset", "tiny", "--seed", "-1"], "-1"),
            (["--preset", "tiny", "--around", demo], "power of 4"),
            (["--preset", "cpm-ant-300m", "--around", demo], "dim_ff"),
            (["--preset", "cpm-ant-10b", "--around", exactDemo], "int8"),
            (["--preset", "cpm-ant-10b", "--around", demo, "--weights", "f16"], "int8"),
            (["--preset", "tiny", "--threads", "0"], "--threads 0 is not a whole number from 1"),
        ] {
            try Leafcutter.expectRefusal(["synthesize", folder.path("a.leaf")] + words, 2, reason)
        }
        let run = try Leafcutter.run("synthesize", folder.path("no/a.leaf"), "--preset", "tiny")
        #expect(run.status == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).isEmpty)
    }
}
