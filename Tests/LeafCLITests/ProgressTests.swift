import LeafCLI
import Leafcutter
import Testing

/// How far a command is, for those who wait.
@Suite struct ProgressTests {
    private let start = ContinuousClock.now

    private func read(
        _ clock: inout SweepClock, at seconds: Double, _ share: Double, sweeps: Int
    ) -> SweepClock.Reading {
        clock.read(SweepPosition(sweeps: sweeps, share: share), at: start + .seconds(seconds))
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
        expect(read(&clock, at: 1, 0.05, sweeps: 0), seconds: 1, left: nil)
        let half = read(&clock, at: 4, 0.5, sweeps: 0)
        #expect(half.share == 0.5)
        expect(half, seconds: 8, left: 4)
    }

    @Test func aSweepThatBeginsIsExpectedToTakeAsLongAsTheLast() {
        var clock = SweepClock(began: start)
        expect(read(&clock, at: 10, 0.02, sweeps: 1), seconds: 10, left: 10)
        // The time that is left moves although the sweep stands still.
        expect(read(&clock, at: 11, 0.02, sweeps: 1), seconds: 10, left: 9)
        // Nobody looked while three of them ended.
        expect(read(&clock, at: 25, 0.02, sweeps: 4), seconds: 5, left: 5)
        // It has taken longer already, and nobody knows how much longer.
        expect(read(&clock, at: 32, 0.02, sweeps: 4), seconds: 7, left: nil)
        // What is done of it tells more than the last.
        expect(read(&clock, at: 35, 0.25, sweeps: 4), seconds: 40, left: 30)
    }

    @Test func aShareIsBetweenNothingAndAll() {
        for (share, expected) in [(-0.5, 0.0), (0.3, 0.3), (1.5, 1), (.infinity, 1)] {
            var clock = SweepClock(began: start)
            let reading = read(&clock, at: 1, share, sweeps: 0)
            #expect(reading.share == expected, "\(share)")
            #expect((reading.secondsLeft ?? 0) >= 0)
        }
    }

    /// Four equal sweeps of 10 s: what is left falls with the time, in the middle of a sweep as well.
    @Test func whatIsLeftDoesNotGrowDuringASweepThatIsCounted() {
        for (seconds, left) in [(12.0, "28 s"), (15, "25 s"), (19, "21 s"), (25, "15 s")] {
            let count = Int(seconds / 10)
            var progress = Progress("measuring", count, of: 4, "sweep")
            progress.sweep = .counted
            let text = progress.text(after: seconds, sweep: sweep(seconds / 10 - Double(count), of: 10))
            #expect(text.hasPrefix("measuring: \(count) of 4 sweeps, sweep "), "\(text)")
            #expect(text.contains(", next in ") && text.hasSuffix(", \(left) left"), "\(text)")
        }
    }

    private func sweep(_ share: Double, of seconds: Double) -> SweepClock.Reading {
        var clock = SweepClock(began: start)
        return read(&clock, at: share * seconds, share, sweeps: 0)
    }

    @Test func aPromptShowsHowLongItTakes() {
        var progress = Progress("reading the prompt")
        progress.sweep = .whole
        progress.rows = 3425
        #expect(
            progress.text(after: 80, sweep: sweep(0.4, of: 200))
                == "reading the prompt: 3425 rows, sweep 40 %, 2 min left")
        // What takes no time shows nothing of it.
        #expect(progress.text(after: 0.1, sweep: sweep(0.4, of: 0.2)) == "reading the prompt")
        #expect(progress.text(after: 0.1) == "reading the prompt")
    }

    /// What a session has comes at once, and is no sign of how fast the rest comes.
    @Test func aSessionsOwnTokensCountForNoRate() {
        var watch = TokenWatch(past: 20)
        #expect(watch.progress(at: start, streams: false).text(after: 0.1) == "reading the prompt")
        for _ in 0..<20 { watch.count(at: start + .seconds(10)) }
        #expect(watch.progress(at: start + .seconds(12), streams: false).text(after: 0.1) == "generating: 20 tokens")
        // The first of its own begins the time, the next ones are counted.
        for seconds in [14.0, 18, 22] { watch.count(at: start + .seconds(seconds)) }
        #expect(
            watch.progress(at: start + .seconds(22), streams: false).text(after: 0.1)
                == "generating: 23 tokens, 0.25 a second")
    }

    @Test func requestsShowTheNextSweepAndTheEndOfAll() {
        var progress = Progress("generating", 3, of: 8, "request")
        progress.sweep = .step
        progress.rows = 8
        progress.tokens = (57, 4.1)
        #expect(
            progress.text(after: 30, sweep: sweep(0.5, of: 4))
                == "generating: 3 of 8 requests, 57 tokens, 4.10 a second, 8 rows, sweep 50 %, next in 2.0 s, "
                + "50 s left")
        // Nobody knows how many a pipe brings, and one row is nothing to tell.
        progress.done = (1, nil, "request", 0)
        progress.rows = 1
        progress.tokens = nil
        #expect(
            progress.text(after: 30, sweep: sweep(0.5, of: 4))
                == "generating: 1 request, sweep 50 %, next in 2.0 s")
    }

    @Test func aJobShowsWhatFailedAndTheTimeOfThisRunAlone() {
        var progress = Progress("answering", 60, of: 100, "request", skipped: 50)
        progress.failed = 3
        #expect(progress.text(after: 20) == "answering: 60 of 100 requests, 3 failed, 1 min 20 s left")
        // What an earlier run answered says nothing of the time.
        progress.done?.count = 50
        #expect(progress.text(after: 20) == "answering: 50 of 100 requests, 3 failed, 20 s")
    }

    @Test func bytesShowRateAndTimeOfThisRunAlone() {
        let progress = Progress("converting", bytes: 6 << 30, of: 8 << 30, skipped: 4 << 30)
        #expect(
            progress.text(after: 20)
                == "converting: 75 %, 20 s left, 6.00 GiB of 8.00 GiB, 107 MB/s")
        #expect(progress.text(after: 0.2) == "converting: 75 %, 6.00 GiB of 8.00 GiB")
        #expect(Progress("verifying", bytes: 0, of: 0).text(after: 0) == "verifying: 100 %, 0 B of 0 B")
        #expect(Progress("verifying", bytes: 9, of: 3).text(after: 9).contains("100 %, 0.0 s left"))
    }

    /// Whatever a command does, two looks a second apart differ.
    @Test func somethingMovesWithTime() {
        var waiting = Progress("generating", 0, of: 8, "request")
        waiting.sweep = .step
        let texts: [(Double) -> String] = [
            { Progress("opening ant.leaf").text(after: $0) },
            { Progress("reading", 4000, "item").text(after: $0) },
            { Progress("converting", bytes: 0, of: 8).text(after: $0) },
            { [waiting] seconds in
                // Nothing of the first sweep has passed.
                var clock = SweepClock(began: self.start)
                return waiting.text(after: seconds, sweep: self.read(&clock, at: seconds, 0, sweeps: 0))
            },
            { [waiting] seconds in
                var clock = SweepClock(began: self.start)
                _ = self.read(&clock, at: 600, 0.5, sweeps: 1)
                return waiting.text(after: seconds, sweep: self.read(&clock, at: 600 + seconds, 0, sweeps: 1))
            },
        ]
        for (number, text) in texts.enumerated() {
            for seconds in 1..<30 {
                #expect(text(Double(seconds)) != text(Double(seconds + 1)), "\(number) after \(seconds) s")
            }
        }
    }

    @Test func aNarrowTerminalLosesWholeParts() {
        var progress = Progress("generating", 3, of: 8, "request")
        progress.tokens = (57, 4.1)
        let whole = "generating: 3 of 8 requests, 57 tokens, 4.10 a second, 50 s left"
        #expect(progress.text(after: 30, columns: whole.count) == whole)
        #expect(
            progress.text(after: 30, columns: whole.count - 1)
                == "generating: 3 of 8 requests, 57 tokens, 4.10 a second")
        #expect(progress.text(after: 30, columns: 27) == "generating: 3 of 8 requests")
        #expect(progress.text(after: 30, columns: 12) == "generating")
        #expect(progress.text(after: 30, columns: 4) == "gene")
        #expect(Progress("opening 蚁.leaf").text(after: 0, columns: 9) == "opening ")
        // What a file's name commands is shown, not done.
        #expect(!Progress("opening \u{1B}[2J").text(after: 0).contains("\u{1B}"))
    }

    @Test func notesBreakBetweenWords() {
        #expect(TerminalWidth.wrapped("short", to: 5) == ["short"])
        #expect(
            TerminalWidth.wrapped("promised 41.4 MiB, peak 26.1 MiB", to: 20)
                == ["promised 41.4 MiB,", "peak 26.1 MiB"])
        #expect(TerminalWidth.wrapped("a verylongword b", to: 11) == ["a", "verylongword", "b"])
        #expect(TerminalWidth.wrapped("蚁蚁蚁 蚁蚁蚁", to: 12) == ["蚁蚁蚁", "蚁蚁蚁"])
        let text = "21 tokens in 234 ms, first after 18 ms, then 10 ms a token; promised 41.4 MiB"
        for columns in 1..<TerminalWidth.fewest { #expect(TerminalWidth.wrapped(text, to: columns) == [text]) }
        for columns in TerminalWidth.fewest...90 {
            let lines = TerminalWidth.wrapped(text, to: columns)
            #expect(lines.joined(separator: " ") == text)
            #expect(lines.allSatisfy { $0.count <= columns || !$0.contains(" ") }, "\(columns)")
        }
    }
}
