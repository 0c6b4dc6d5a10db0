import Foundation
import GoldenSupport
import Testing

/// The program under test, and what a run of it gave.
struct Leafcutter {
    struct Run {
        let status: Int32
        let output: Data
        let error: String

        var text: String { String(decoding: output, as: UTF8.self) }
        var json: [String: Any]? { try? JSONSerialization.jsonObject(with: output) as? [String: Any] }
        /// One object a line, without the facts of the process behind them.
        var objects: [[String: Any]] { get throws { try jsonObjects(text).filter { $0["summary"] == nil } } }
        /// The facts of the process, if they are the last line.
        var summary: [String: Any]? {
            text.split(separator: "\n").last.flatMap {
                try? jsonObjects(String($0)).first?["summary"] as? [String: Any]
            }
        }
    }

    /// The statically linked program that users get, by `LEAFCUTTER_BIN`; else the one beside the tests.
    static let path: String = {
        if let path = ProcessInfo.processInfo.environment["LEAFCUTTER_BIN"] { return path }
        return URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "leafcutter").path
    }()

    /// Whether memory is that of the program that users get.
    static var isShipped: Bool { ProcessInfo.processInfo.environment["LEAFCUTTER_BIN"] != nil }

    /// Runs the program and waits.
    static func run(
        _ arguments: [String], input: String? = nil, environment: [String: String] = [:]
    ) throws -> Run {
        try run(URL(filePath: path), arguments, input: input.map { Data($0.utf8) }, environment)
    }

    static func run(_ arguments: String...) throws -> Run { try run(arguments) }

    /// Mebibytes of the smallest budget, which the first refusal names.
    static func smallestBudget(_ arguments: [String]) throws -> Int {
        func run(_ budget: Int) throws -> Run { try Self.run(arguments + ["--memory", "\(budget)MiB"]) }
        var budget = 16
        let refused = try run(budget)
        if refused.status == 3 {
            let advice = try #require(refused.error.firstMatch(of: /use --memory ([0-9]+)MiB/))
            budget = try #require(Int(advice.output.1))
        }
        while try run(budget - 1).status == 0 { budget -= 1 }
        return budget
    }

    /// The most memory that a process has had so far, in bytes: what it reports itself need not be believed.
    static func peak(of process: Process) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        return try #require(Int(line.filter(\.isNumber))) << 10
    }

    /// Runs a bash script in which `$0` is the program.
    static func shell(_ script: String, _ arguments: String...) throws -> Run {
        try run(URL(filePath: "/bin/bash"), ["-c", readiness + script, path] + arguments, input: nil, [:])
    }

    /// `ready PID` waits until a command catches signals: a busy machine takes its time to begin. SIGTERM is the
    /// fifteenth bit of what is caught.
    ///
    /// `over PID` waits for its end, which is promised within two seconds; a busy machine has ten times as long. What
    /// is late is killed. `resting PATH` makes a pipe that somebody has open and nobody reads.
    private static let readiness = #"""
        ready() {
            for i in $(seq 2000); do
                grep -qs '^SigCgt:.*[4-7c-f][0-9a-f]\{3\}$' /proc/$1/status && return; sleep 0.01
            done
        }
        over() {
            for i in $(seq 200); do kill -0 $1 2> /dev/null || return 0; sleep 0.1; done
            ! kill -9 $1 2> /dev/null
        }
        resting() { mkfifo "$1" && exec 7<> "$1"; }

        """#

    /// Files instead of pipes: a full pipe would stop the program.
    private static func run(
        _ program: URL, _ arguments: [String], input: Data?, _ environment: [String: String]
    ) throws -> Run {
        let folder = FileManager.default.temporaryDirectory.appending(path: "leafcutter-run-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func file(_ name: String, _ contents: Data = Data()) throws -> URL {
            let url = folder.appending(path: name)
            try contents.write(to: url)
            return url
        }
        let (output, error) = (try file("output"), try file("error"))
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = try FileHandle(forReadingFrom: file("input", input ?? Data()))
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: error)
        try process.run()
        process.waitUntilExit()
        return Run(
            status: process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus,
            output: try Data(contentsOf: output), error: String(decoding: try Data(contentsOf: error), as: UTF8.self))
    }

    /// Runs what must be refused: in one sentence, and with nothing on standard output.
    static func expectRefusal(
        _ arguments: [String], _ status: Int32, _ part: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let run = try run(arguments)
        #expect(run.status == status, "\(arguments): \(run.error)", sourceLocation: sourceLocation)
        #expect(run.output.isEmpty, sourceLocation: sourceLocation)
        let lines = run.error.split(separator: "\n")
        #expect(lines.count == 1, "\(run.error)", sourceLocation: sourceLocation)
        let sentence = lines.last ?? ""
        #expect(sentence.hasPrefix("leafcutter \(arguments[0]): "), sourceLocation: sourceLocation)
        #expect(sentence.contains(part), "\(arguments): \(sentence)", sourceLocation: sourceLocation)
        #expect(!sentence.hasSuffix("."), sourceLocation: sourceLocation)
    }
}

/// One JSON object a line.
func jsonObjects(_ lines: String) throws -> [[String: Any]] {
    try lines.split(separator: "\n").map { line in
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
}

extension TemporaryDirectory {
    /// A new file of these lines.
    func file(_ lines: [String]) throws -> String {
        let path = path("\(UUID().uuidString).jsonl")
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: path))
        return path
    }
}
