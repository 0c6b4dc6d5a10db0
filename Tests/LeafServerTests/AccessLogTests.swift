import Foundation
import GoldenSupport
import LeafFormat
import LeafServer
import Synchronization
import Testing

/// Lines about requests.
@Suite struct AccessLogTests {
    /// What a log of a format writes, and what it warns of in words.
    private func written(_ format: AccessLog.Format, _ write: (AccessLog) -> Void) -> [String] {
        let lines = Mutex<[String]>([])
        write(
            AccessLog(
                format, warn: { line in lines.withLock { $0.append("warning: \(line)") } },
                write: { line in lines.withLock { $0.append(line) } }))
        return lines.withLock { $0 }
    }

    @Test func whatIsToldOfTheServerIsASentenceForPeopleAndAFieldForPrograms() throws {
        let tell: (AccessLog) -> Void = { log in
            log.tell("listening on x", as: "listening", ["address": "x"])
            log.warn("a \"b\"")
            log.tell("stopped", as: "stopped", .bool(true))
        }
        #expect(written(.text, tell) == ["listening on x", "warning: a \"b\"", "stopped"])
        let objects = try written(.json, tell).map { try Object($0) }
        let expected = [["listening": #"{"address":"x"}"#], ["warning": #""a \"b\"""#], ["stopped": "true"]]
        #expect(objects.map { $0.fields.filter { $0.key != "time" }.mapValues(\.line) } == expected)
        #expect(objects.allSatisfy { $0["time"].text?.hasSuffix("Z") == true })
    }

    @Test func timesAreThoseOfTheCalendar() {
        #expect(AccessLog.text(ofTime: 0) == "1970-01-01T00:00:00.000Z")
        #expect(AccessLog.text(ofTime: 951_782_400_007) == "2000-02-29T00:00:00.007Z")
        var random = SeededGenerator()
        for _ in 0..<1000 {
            let milliseconds = Int.random(in: 0..<253_402_300_800_000, using: &random)
            let second = Date(timeIntervalSince1970: Double(milliseconds / 1000))
            let expected = String(second.formatted(.iso8601).dropLast()) + String(format: ".%03dZ", milliseconds % 1000)
            #expect(AccessLog.text(ofTime: milliseconds) == expected, "seed \(random.seed)")
        }
    }
}
