import Foundation
import GoldenSupport
import LeafServer
import Testing

/// Lines about requests.
@Suite struct AccessLogTests {
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
