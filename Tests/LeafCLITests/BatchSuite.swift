import Foundation
import GoldenSupport

/// What suites of `batch` have: the demonstration model, and a folder for the files of a job.
protocol BatchSuite {
    var folder: TemporaryDirectory { get }
    var model: String { get }
}

extension BatchSuite {
    var output: String { folder.path("out.jsonl") }

    func batch(_ input: String, _ arguments: String...) throws -> Leafcutter.Run {
        try Leafcutter.run(["batch", model, input, output, "-q"] + arguments)
    }

    func batch(_ lines: [String], _ arguments: String...) throws -> Leafcutter.Run {
        try Leafcutter.run(["batch", model, try folder.file(lines), output, "-q"] + arguments)
    }

    func lines(_ path: String) throws -> [Substring] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
    }
}
