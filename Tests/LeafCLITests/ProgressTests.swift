import Foundation
import GoldenSupport
import LeafCLI
import Testing

/// How far a sweep is, for those who wait for a token.
@Suite struct ProgressTests {
    private let start = ContinuousClock.now

    private func read(_ clock: inout SweepClock, at seconds: Double, _ chunks: Int, sweeps: Int) -> SweepClock.Reading {
        clock.read(chunksDone: chunks, of: 100, sweeps: sweeps, at: start + .seconds(seconds))
    }

    private func expect(
        _ reading: SweepClock.Reading, seconds: Double, left: Double?, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(abs(reading.seconds - seconds) < 1e-6, "\(reading)", sourceLocation: sourceLocation)
        #expect((reading.secondsLeft == nil) == (left == nil), "\(reading)", sourceLocation: sourceLocation)
        #expect(abs((reading.secondsLeft ?? 0) - (left ?? 0)) < 1e-6, "\(reading)", sourceLocation: sourceLocation)
    }

    @Test func theFirstSweepIsExpectedToGoOnAsItBegan() {
        var clock = SweepClock(began: start)
        // So little says nothing.
        expect(read(&clock, at: 1, 5, sweeps: 0), seconds: 1, left: nil)
        let half = read(&clock, at: 4, 50, sweeps: 0)
        #expect(half.share == 0.5)
        expect(half, seconds: 8, left: 4)
    }

    @Test func aSweepThatBeginsIsExpectedToTakeAsLongAsTheLast() {
        var clock = SweepClock(began: start)
        expect(read(&clock, at: 10, 2, sweeps: 1), seconds: 10, left: 9.8)
        // Nobody looked while three of them ended.
        expect(read(&clock, at: 25, 2, sweeps: 4), seconds: 5, left: 4.9)
        // It has taken longer already.
        expect(read(&clock, at: 32, 2, sweeps: 4), seconds: 7, left: 4.9)
        // What is done of it tells more than the last.
        expect(read(&clock, at: 35, 25, sweeps: 4), seconds: 40, left: 30)
    }

    @Test func aShareIsBetweenNothingAndAll() {
        var clock = SweepClock(began: start)
        for (done, count, share) in [(0, 0, 0.0), (7, 0, 1), (-3, 10, 0), (12, 10, 1), (Int.max, 1, 1)] {
            let reading = clock.read(chunksDone: done, of: count, sweeps: 0, at: start + .seconds(1))
            #expect(reading.share == share, "\(done) of \(count)")
            #expect((reading.secondsLeft ?? 0) >= 0)
        }
    }

    static var hasScript: Bool {
        (try? Leafcutter.shell("script --version").text.contains("util-linux")) == true
    }

    /// A terminal shows how far the next token is when it takes longer than half a second.
    @Test(.enabled(if: hasScript, "there is no script of util-linux to make a terminal"))
    func betweenSlowTokensATerminalShowsTheSweep() throws {
        let model = try Models.shared.get().demo
        let budget = try Leafcutter.smallestBudget(["generate", model, "春", "--greedy", "--max-tokens", "2"])
        let run = try Leafcutter.shell(
            #"""
            script -qec "'$0' generate '$1' 春 --greedy --max-tokens 2 --max-read-rate 4MB/s --memory $2" /dev/null
            """#, model, "\(budget)MiB")
        #expect(run.status == 0, "\(run.text)\(run.error)")
        #expect(run.text.contains(/reading the prompt: sweep [0-9]+ %/), "\(run.text)")
        #expect(run.text.contains(/generating: 1 token, sweep [0-9]+ %/), "\(run.text)")
        #expect(run.text.contains("2 tokens in "), "\(run.text)")
    }
}
