import Leafcutter
import Testing

/// What a run was waiting for, found from its counters alone.
@Suite("verdict") struct VerdictTests {
    /// 9.5 GB of int8 weights, 2 GiB of them in memory, a disk of 1 GB/s, 10 tokens.
    private var streaming: Verdict.Run {
        var run = Verdict.Run()
        run.promptRows = 160
        run.prefillSeconds = 15
        run.prefillWaitSeconds = 2
        run.decodeSweeps = 9
        run.decodeSeconds = 70
        run.decodeWaitSeconds = 66
        run.diskBytesPerSecond = 1e9
        run.streamedBytesPerSweep = 7_500_000_000
        run.weightBytes = 9_500_000_000
        return run
    }

    /// The same, everything in memory: 0.5 s a token.
    private var resident: Verdict.Run {
        var run = streaming
        run.prefillSeconds = 1
        run.prefillWaitSeconds = 0
        run.decodeSeconds = 4.5
        run.decodeWaitSeconds = 0
        run.streamedBytesPerSweep = 0
        return run
    }

    @Test func waitingMostOfTheTimeIsTheDisk() {
        let verdict = Verdict(streaming) {
            Issue.record("memory was asked")
            return nil
        }
        #expect(
            verdict
                == .disk(
                    share: 68.0 / 85, bytesPerSecond: 1e9, moreBytes: 1 << 30, savedSeconds: Double(1 << 30) / 1e9))
        #expect(
            "\(verdict)" == "80 % of the time waiting for the disk at 1.00 GB/s; 1.00 GiB more saves 1.07 s a token")
    }

    @Test func moreMemorySavesNoMoreThanASweepWaitsOrStreams() {
        var run = streaming
        run.streamedBytesPerSweep = 100_000_000
        guard case .disk(_, _, let more, let saved) = Verdict(run, memoryBytesPerSecond: { nil }) else {
            Issue.record("not the disk")
            return
        }
        #expect(more == 100_000_000 && abs(saved - 0.1) < 1e-9)
        run = streaming
        run.diskBytesPerSecond = 0.1e9
        guard case .disk(_, _, _, let waited) = Verdict(run, memoryBytesPerSecond: { nil }) else {
            Issue.record("not the disk")
            return
        }
        #expect(abs(waited - 66.0 / 9) < 1e-9)
    }

    /// Bytes that come at 1 GB/s when they come, and may come at 1 MB/s.
    @Test func aLimitedRateIsTheDisks() {
        var run = streaming
        run.streamedBytesPerSweep = 3_000_000
        run.diskLimit = 1e6
        let verdict = Verdict(run) { nil }
        #expect(verdict == .disk(share: 68.0 / 85, bytesPerSecond: 1e6, moreBytes: 3_000_000, savedSeconds: 3))
        #expect("\(verdict)" == "80 % of the time waiting for the disk at 1 MB/s; 2.9 MiB more saves 3.00 s a token")
        // One that is never reached is not the rate.
        run.diskLimit = 5e9
        guard case .disk(_, 1e9, _, _) = Verdict(run, memoryBytesPerSecond: { nil }) else {
            Issue.record("not the disk's own rate")
            return
        }
    }

    @Test func weightsAsFastAsMemoryIsMemory() {
        let verdict = Verdict(resident) { 20e9 }
        #expect(verdict == .memory(bytesPerSecond: 19e9, share: 0.95, waitShare: 0))
        #expect("\(verdict)" == "bound by memory: weights at 19.00 GB/s, 95 % of what this machine reads")
    }

    @Test func slowKernelsOnFastMemoryAreTheProcessor() {
        let verdict = Verdict(resident) { 60e9 }
        #expect(verdict == .compute(multiplyAddsPerSecond: 19e9, rows: 1, isPrompt: false, waitShare: 0))
    }

    @Test func aLongPromptIsTheProcessor() {
        var run = resident
        run.promptRows = 544
        run.prefillSeconds = 50
        run.decodeSweeps = 2
        run.decodeSeconds = 1
        let verdict = Verdict(run) { 20e9 }
        #expect(
            verdict
                == .compute(multiplyAddsPerSecond: 9.5e9 * 544 / 50, rows: 544, isPrompt: true, waitShare: 0))
        #expect(
            "\(verdict)" == "bound by the processor: 103.4 billion multiply-adds a second on a prompt of 544 rows")
    }

    /// A first sweep that only fills the memory says nothing of how weights are used.
    @Test func aPromptThatWaitedIsNotWhatWasComputed() {
        var run = resident
        (run.prefillSeconds, run.prefillWaitSeconds) = (9.4, 9.39)
        run.decodeSeconds = 9.5
        #expect(Verdict(run) { 1.2e9 } == .memory(bytesPerSecond: 9e9, share: 1, waitShare: 0))
    }

    @Test func aLargeBatchIsTheProcessorAndASmallOneIsNot() {
        var run = resident
        run.decodeRows = 32
        run.decodeSeconds = 9 * 3.2
        #expect(
            Verdict(run) { 20e9 }
                == .compute(
                    multiplyAddsPerSecond: 9.5e9 * 9 / (9 * 3.2) * 32, rows: 32, isPrompt: false, waitShare: 0))
        run.decodeRows = 2
        run.decodeSeconds = 9 * 0.6
        guard case .memory = Verdict(run, memoryBytesPerSecond: { 20e9 }) else {
            Issue.record("not memory")
            return
        }
    }

    @Test func aSmallerWaitIsMentioned() {
        var run = resident
        run.decodeSeconds = 6
        run.decodeWaitSeconds = 1.5
        run.streamedBytesPerSweep = 1 << 30
        #expect(
            "\(Verdict(run) { 20e9 })"
                == "bound by memory: weights at 19.00 GB/s, 95 % of what this machine reads; 21 % of the time waiting for the disk"
        )
    }

    @Test func nothingSavedIsNotOffered() {
        for saved in [0, 1e-9, 4.9e-5] {
            let verdict = Verdict.disk(share: 0.6, bytesPerSecond: 1e9, moreBytes: 1 << 20, savedSeconds: saved)
            #expect("\(verdict)" == "60 % of the time waiting for the disk at 1.00 GB/s")
        }
        let little = Verdict.disk(share: 0.6, bytesPerSecond: 1e9, moreBytes: 1 << 20, savedSeconds: 6e-5)
        #expect("\(little)".hasSuffix("; 1.0 MiB more saves 0.1 ms a token"))
    }

    /// Of a prompt that was stopped in its sweep, as much was computed as weights passed.
    @Test func whatWasBrokenOffCountsAsFarAsItCame() {
        var run = resident
        run.promptRows = 3425
        run.promptSweeps = 0.02
        run.decodeSweeps = 0
        run.decodeSeconds = 0
        run.prefillSeconds = 4
        guard case .compute(let rate, 3425, true, _) = Verdict(run, memoryBytesPerSecond: { 20e9 }) else {
            Issue.record("not the prompt")
            return
        }
        #expect(abs(rate - 9.5e9 * 0.02 * 3425 / 4) < 1)
    }

    /// A small model comes out of the processor's caches.
    @Test func noShareIsMoreThanAll() {
        guard case .memory(19e9, 1, _) = Verdict(resident, memoryBytesPerSecond: { 10e9 }) else {
            Issue.record("more than memory gives")
            return
        }
    }

    @Test func nothingIsDividedByNothing() {
        for verdict in [Verdict(Verdict.Run()) { nil }, Verdict(Verdict.Run()) { 20e9 }] {
            #expect(!"\(verdict)".contains("nan") && !"\(verdict)".contains("inf"))
        }
    }
}
