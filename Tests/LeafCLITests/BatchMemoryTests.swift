import Foundation
import GoldenSupport
import Testing

/// `batch`: what a job takes beside its model.
@Suite struct BatchMemoryTests: BatchSuite {
    let folder: TemporaryDirectory
    let model: String

    init() throws { (folder, model) = try Models.demoWithFolder() }

    /// Lines and answers are planned for the texts that fit, and not for those that were allowed.
    @Test func aLargeBatchNeedsNoMoreMemoryThanASmallOne() throws {
        let space = String(repeating: " ", count: 400_000)
        let input = try folder.file(
            (0..<6).map { #"{"id":\#($0),\#(space)"kind":"generate","prompt":"春","max_tokens":2,"greedy":true}"# })
        func smallest(_ texts: Int) throws -> Int {
            let run = try batch(input, "--batch", "\(texts)", "--memory", "46MiB")
            #expect(run.status == 3, "\(run.error)")
            let number = run.error.split(separator: "use --memory ").last?.split(separator: "MiB").first
            return try #require(number.flatMap { Int($0) }, "\(run.error)")
        }
        let least = try smallest(1)
        #expect(try smallest(64) == least)
        let run = try batch(input, "--batch", "64", "--memory", "\(least)MiB", "--seed", "7")
        #expect(run.status == 0, "\(run.error)")
        let answers = try lines(output).sorted()
        #expect(answers.count == 6)
        let other = folder.path("other.jsonl")
        _ = try Leafcutter.run("batch", model, input, other, "-q", "--batch", "1", "--seed", "7")
        #expect(try lines(other).sorted() == answers)
    }

    /// Memory does not grow with the file: most lines are bad, so that they cost no sweep.
    @Test func aHundredThousandLinesFitASmallBudget() throws {
        let path = folder.path("many.jsonl")
        var text = ""
        for number in 0..<100_000 {
            text +=
                number.isMultiple(of: 2000)
                ? #"{"id":\#(number),"kind":"generate","prompt":"春","max_tokens":1}"#
                : #"{"id":\#(number),"kind":"generate","prompt":"春","max_tokens":0}"#
            text += "\n"
        }
        try Data(text.utf8).write(to: URL(filePath: path))
        let run = try batch(path, "--skip-bad", "--json", "--memory", "64MiB")
        #expect(run.status == 1, "\(run.error)")
        #expect(run.json?["done"] as? Int == 100_000)
        #expect(run.json?["failed"] as? Int == 99_950)
        #expect(try lines(output).count == 100_000)
        if Leafcutter.isShipped {
            let peak = try #require(run.json?["peak_bytes"] as? Int)
            #expect(peak <= 64 << 20)
        }
    }
}
