import Foundation
import Testing

/// What a process of its own finds out of its heap. Threads of the system and of the test library allocate when they
/// start, on a busy machine at any time: a fault of ours shows in each round, theirs in one.
enum MeasuringProcess {
    private static let verdict = "faults found: "

    /// Ends the process, having said what is wrong.
    static func end(measuring measure: () throws -> [String]) -> Never {
        do {
            let faults = try measure()
            print(([verdict + String(faults.count)] + faults).joined(separator: "\n"))
        } catch {
            print("\(verdict)1\n\(error)")
        }
        exit(0)
    }

    /// - Parameter round: starts such a process, and observes its standard output.
    static func expectNoFaults(_ round: () async -> ExitTest.Result?) async {
        var said = ""
        for _ in 0..<3 {
            guard let result = await round() else { return }
            said = String(decoding: result.standardOutputContent, as: UTF8.self)
            if said.contains(verdict + "0\n") { return }
        }
        Issue.record(Comment(rawValue: said))
    }
}
