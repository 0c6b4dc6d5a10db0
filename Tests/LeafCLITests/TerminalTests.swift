import Foundation
import GoldenSupport
import LeafCLI
import Testing

/// The program of util-linux that makes a terminal.
private enum Script {
    static let isThere = (try? Leafcutter.shell("script --version").text.contains("util-linux")) == true
}

/// What commands look like on a terminal while they take their time: a rate of some megabytes a second makes the demo
/// model as slow as a large one.
@Suite(.enabled(if: Script.isThere, "there is no script of util-linux to make a terminal"))
struct TerminalTests {
    private let folder: TemporaryDirectory
    private let model: String
    private static let title = "《登鹳雀楼》王之涣\n"

    init() throws {
        (folder, model) = try Models.demoWithFolder()
    }

    /// Runs a bash script on a terminal, where `$0` is the program and `$1` the model.
    private func transcript(
        _ words: String, columns: Int = 80, height: Int = 24, terminal: String = "xterm"
    ) throws -> Leafcutter.Run {
        let path = folder.path("\(UUID().uuidString).sh")
        try Data("stty cols \(columns) rows \(height)\n\(words)\n".utf8).write(to: URL(filePath: path))
        let arguments = [Leafcutter.path, model, folder.url.path].map { "'\($0)'" }.joined(separator: " ")
        return try Leafcutter.shell(#"TERM=$3 script -qec "bash -c '. $1' $2" /dev/null"#, path, arguments, terminal)
    }

    /// The texts that the line of progress had, each once.
    private func shown(_ run: Leafcutter.Run, _ phase: String) -> Set<String> {
        let pieces = run.text.split { $0 == "\r" || $0 == "\n" || $0 == "\r\n" || $0 == "\u{1B}" }
        return Set(
            pieces.compactMap { piece in piece.range(of: phase).map { String(piece[$0.lowerBound...]) } })
    }

    private func budget(_ words: [String]) throws -> String { "\(try Leafcutter.smallestBudget(words))MiB" }

    @Test func betweenSlowTokensTheLineMoves() throws {
        let budget = try budget(["generate", model, "春", "--greedy", "--max-tokens", "2"])
        let run = try transcript(
            #""$0" generate "$1" 春 --greedy --max-tokens 2 --max-read-rate 4MB/s --memory \#(budget)"#)
        #expect(run.status == 0, "\(run.text)")
        // The vocabulary alone takes more than a second, during which no block begins.
        #expect(shown(run, "reading the prompt: 34 rows, sweep ").count >= 4, "\(run.text)")
        #expect(shown(run, "generating: 1 token, sweep ").count >= 4, "\(run.text)")
        let plain = try Leafcutter.run("generate", model, "春", "--greedy", "--max-tokens", "2", "-q")
        let screen = Screen(run.text)
        #expect(screen.lines.first == plain.text.split(separator: "\n").first.map(String.init), "\(screen)")
        #expect(screen.lines[1].hasPrefix("2 tokens in "), "\(screen)")
    }

    @Test(arguments: ["dumb", ""]) func whatCannotMoveItsCursorGetsNoSequences(terminal: String) throws {
        let budget = try budget(["generate", model, "春", "--greedy", "--max-tokens", "2"])
        let run = try transcript(
            #""$0" generate "$1" 春 --greedy --max-tokens 2 --max-read-rate 4MB/s --memory \#(budget)"#,
            terminal: terminal)
        #expect(run.status == 0, "\(run.text)")
        #expect(!run.text.contains("\u{1B}"), "\(run.text)")
        #expect(run.text.contains("2 tokens in "), "\(run.text)")
    }

    /// Where a word fills a line, nothing is rewritten, and the terminal alone breaks the line of facts.
    @Test(arguments: 1...10) func aNarrowTerminalGetsPlainLines(columns: Int) throws {
        let run = try transcript(
            #""$0" generate "$1" 春 --greedy --max-tokens 2"#, columns: columns, height: 10)
        #expect(run.status == 0, "\(run.text)")
        #expect(!run.text.contains("\u{1B}"), "\(run.text)")
        let lines = run.text.split(whereSeparator: \.isNewline)
        #expect(lines.last?.hasPrefix("2 tokens in ") == true, "\(run.text)")
        let screen = Screen(run.text, columns: columns, height: 10)
        #expect(screen.lines.joined().filter { $0 != " " }.contains("2tokensin"), "\(screen)")
    }

    /// A line of progress below a text comes and goes, where the text ends at the edge too.
    @Test(arguments: [12, 13, 24, 80]) func theTextStaysWhole(columns: Int) throws {
        let budget = try budget(["generate", model, Self.title, "--greedy"])
        let run = try transcript(
            #"printf '%s' $'\#(Self.title.dropLast())\n' | "$0" generate "$1" - --greedy --max-read-rate 12MB/s "#
                + "--memory \(budget)", columns: columns, height: 4)
        #expect(run.status == 0 && !shown(run, "generati").isEmpty, "\(run.text)")
        let poem = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"
        let screen = Screen(run.text, columns: columns, height: 4)
        let seen = screen.lines.joined()
        #expect(seen.hasPrefix(poem + "21 tokens in"), "\(screen)")
        #expect(!seen.contains("generati") && !seen.contains("sweep"), "\(screen)")
        // The line of facts is broken between words, and only there.
        #expect(screen.lines.allSatisfy { $0.unicodeScalars.count <= columns })
        let facts = screen.lines.drop { !$0.hasPrefix("21") }.joined(separator: " ")
        #expect(facts.contains("tokens in") && facts.contains("; promised "), "\(screen)")
    }

    @Test func requestsShowTheirFirstSweep() throws {
        let requests = try folder.file(["春", "夏", "秋"].map { #"{"prompt":"\#($0)","max_tokens":2}"# })
        let words = ["generate", model, "--requests", requests, "--greedy"]
        let run = try transcript(
            #""$0" generate "$1" --requests \#(requests) --greedy --max-read-rate 4MB/s --memory "#
                + (try budget(words)))
        #expect(run.status == 0, "\(run.text)")
        #expect(shown(run, "generating: 0 of 3 requests, ").count >= 4, "\(run.text)")
        #expect(run.text.contains(/generating: 0 of 3 requests, [0-9]+ rows, sweep [0-9]+ %/), "\(run.text)")
        let lines = Screen(run.text, columns: 80).lines
        #expect(lines.filter { $0.hasPrefix(#"{"id":"#) }.count == 3, "\(lines)")
        #expect(!lines.joined().contains("generating"), "\(lines)")
    }

    @Test func aSessionShowsTheSameTextOverTwoRuns() throws {
        let words = #"generate "$1" 春 --greedy --eos-id 0 --max-tokens 8"#
        let session = #"--session "$2/tale" --session-every 1"#
        // Each token takes its time, so that the run is under way when it is stopped.
        let budget = try budget(
            ["generate", model, "春", "--greedy", "--max-tokens", "8", "--session", folder.path("none")])
        let run = try transcript(
            #"""
            "$0" \#(words) \#(session) --max-read-rate 10MB/s --memory \#(budget) --io direct &
            pid=$!
            until [ -e "$2/tale" ]; do sleep 0.05; done
            kill -TERM $pid; wait $pid; echo "status $?"
            "$0" \#(words) \#(session); echo "status $?"
            """#)
        let lines = Screen(run.text).lines
        let whole = try Leafcutter.shell(#""$0" \#(words) -q"#, model).text
        #expect(lines.filter { $0.hasPrefix("status ") } == ["status 130", "status 0"], "\(run.text)")
        #expect(lines.joined(separator: " ").contains("has them, and the same command goes on"), "\(run.text)")
        // Of several lines the terminal shows the same.
        let text = whole.split(separator: "\n").map(String.init)
        let second = lines.drop { $0 != "status 130" }.dropFirst()
        #expect(Array(second.prefix(text.count)) == text, "\(lines)")
        let facts = second.joined(separator: " ")
        #expect(facts.contains(/[0-9]+ tokens? after [0-9]+ of the session|all of it was in/), "\(lines)")
    }

    @Test(.timeLimit(.minutes(30))) func benchShowsEachOfItsSteps() throws {
        let run = try transcript(
            #""$0" bench "$1" --memory 48MiB --repeat 1 --generate 2 --prompt 5 --max-read-rate 8MB/s"#)
        #expect(run.status == 0, "\(run.text)")
        // Reading beside computing is over before it is drawn: so small a model has too little to read.
        for step in ["measuring the processor", "measuring the disk", "measuring the processor again"] {
            #expect(run.text.contains("48.0 MiB, " + step), "\(run.text)")
        }
        // Time moves where nothing is counted.
        #expect(run.text.contains(/measuring the processor: [0-9]+ s/), "\(run.text)")
        #expect(run.text.contains(/48.0 MiB, measuring the model: [0-3] of 4 sweeps, sweep [0-9]+ %/), "\(run.text)")
        let lines = Screen(run.text, columns: 80).lines
        #expect(lines.filter { $0.contains("measuring") }.isEmpty, "\(lines)")
        #expect(lines.filter { $0.hasPrefix("| 48.0 MiB") }.count == 1, "\(lines)")
    }

    /// Elsewhere than on a terminal a short run says nothing of its progress.
    @Test func aShortRunWritesNoProgressIntoAFile() throws {
        let run = try Leafcutter.run("generate", model, "春", "--greedy", "--max-tokens", "2")
        #expect(run.status == 0 && run.error.split(separator: "\n").count == 1, "\(run.error)")
        #expect(!run.error.contains("\r") && !run.error.contains("\u{1B}"), "\(run.error)")
    }
}
