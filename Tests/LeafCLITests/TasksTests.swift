import Foundation
import GoldenSupport
import Testing

/// The commands of Documentation/tasks.md, as they stand there.
@Suite struct TasksTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    /// The blocks below a heading: commands, and what the document says that the last of them prints.
    private struct Task {
        var commands: [String] = []
        var output: String?

        init(_ heading: String) throws {
            let path = Golden.repository.appending(path: "Documentation/tasks.md")
            let document = try String(contentsOf: path, encoding: .utf8)
            let section = try #require(document.components(separatedBy: "\n## ").first { $0.hasPrefix(heading + "\n") })
            let parts = section.components(separatedBy: "```")
            for block in stride(from: 1, to: parts.count, by: 2).map({ parts[$0] }) {
                if block.hasPrefix("sh\n") { commands.append(String(block.dropFirst(3))) } else { output = block }
            }
            try #require(!commands.isEmpty, "\(heading) has no commands")
        }
    }

    /// Runs commands in the folder, and stops at the first that fails.
    private func run(_ commands: [String]) throws -> String {
        let model = try Models.shared.get().demo
        let script = commands.joined().replacing(".build/demo/demo.leaf", with: "\"$model\"")
        let run = try Leafcutter.shell(
            #"""
            program=$0; leafcutter() { "$program" "$@"; }
            model=$1; cd "$2"; set -euo pipefail
            \#(script)
            """#, model, folder.url.path)
        #expect(run.status == 0, "\(run.error)")
        return run.text
    }

    private func contents(_ name: String) throws -> String {
        try String(contentsOfFile: folder.path(name), encoding: .utf8)
    }

    @Test(arguments: ["Prompts to a table", "Choosing among answers", "The nearest sentence"])
    func whatIsPrintedStandsInTheDocument(heading: String) throws {
        let task = try Task(heading)
        let output = try #require(task.output).drop { $0 == "\n" }
        #expect(try run(task.commands) == output, "\(heading)")
    }

    @Test func theNamedMemorySufficesForThePoem() throws {
        let output = try run(try Task("Memory for a wanted speed").commands)
        #expect(output.contains("smallest memory for a token in 500 ms: "), "\(output)")
        #expect(output.hasSuffix("白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。\n"), "\(output)")
    }

    @Test func theStoryOfTwoDaysIsTheStoryOfOne() throws {
        let output = try run(try Task("A long story over two days").commands)
        let (story, whole) = (try contents("story.txt"), try contents("whole.txt"))
        #expect(story + "\n" == whole)
        // What `inspect` shows between the days, and the story itself.
        #expect(
            output.contains("30 tokens; a larger --max-tokens continues it") && output.contains("seed"), "\(output)")
        #expect(output.hasSuffix(story), "\(output)")
        #expect(try !contents("other.txt").isEmpty)
    }
}
