import Foundation
import GoldenSupport

/// Model files made by the program itself, each once.
final class Models: Sendable {
    static let shared = Result { try Models() }

    private let folder: TemporaryDirectory
    /// The demo model, 13 MiB, with a tokenizer.
    let demo: String
    /// The same in float16, which computes what transformers does.
    let exactDemo: String
    /// Less than a MiB, without a tokenizer.
    let tiny: String

    private init() throws {
        folder = try TemporaryDirectory()
        demo = folder.path("demo.leaf")
        exactDemo = folder.path("exact.leaf")
        tiny = folder.path("tiny.leaf")
        // What is static is never released.
        atexit { try? FileManager.default.removeItem(at: Models.shared.get().folder.url) }
        try Models.convert(Golden.demoModel.path, to: demo, weights: "int8")
        try Models.convert(Golden.demoModel.path, to: exactDemo, weights: "f16")
        try Models.convert(Golden.model("ant-tiny-a/hf").path, to: tiny, weights: "int8")
    }

    /// The demo model, and a folder for what the commands of a test write, which goes with the test.
    static func demoWithFolder() throws -> (folder: TemporaryDirectory, model: String) {
        (try TemporaryDirectory(), try shared.get().demo)
    }

    static func convert(_ source: String, to path: String, weights: String) throws {
        let run = try Leafcutter.run("convert", source, path, "--weights", weights, "--quiet")
        guard run.status == 0 else { throw Failure(description: run.error) }
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}
