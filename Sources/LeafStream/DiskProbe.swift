internal import Dispatch
package import LeafSystem
internal import Synchronization

/// Measures the rate at which a file can be read, in the way a store reads: the same depth and request size, request
/// after request, in runs that begin at offsets all over the file.
package struct DiskProbe: Sendable, Equatable {
    /// `direct` or `buffered`.
    package let mode: IOMode
    /// The counted bytes.
    package let bytesRead: Int
    /// The seconds that reading them took.
    package let seconds: Double

    package var bytesPerSecond: Double { seconds > 0 ? Double(bytesRead) / seconds : 0 }

    /// - Parameters:
    ///   - reading: its mode counts, and its mirror, which is read at the same time. Its limit does not count.
    ///   - seconds: the time to read. The first third is not counted, because rented disks begin with a burst at a
    ///     multiple of their sustained rate.
    ///   - request: its bytes must be a multiple of 4096. Each of `depth` readers holds a buffer of this size.
    ///   - isCancelled: asked between requests, on several threads; true ends the measurement early.
    /// - Throws: `.io` if the file cannot be read, `.badInput` if it is shorter than a page.
    package static func measure(
        path: String, reading: ReadingOptions = ReadingOptions(), seconds: Double = 2,
        request: RequestShape = .suited(), isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(LeafError) -> DiskProbe {
        try measure(
            path: path, reading: reading, seconds: seconds, request: request, system: .real, isCancelled: isCancelled)
    }

    package static func measure(
        path: String, reading: ReadingOptions = ReadingOptions(), seconds: Double, request: RequestShape,
        system: SystemCalls, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(LeafError) -> DiskProbe {
        let copies = try reading.paths(of: path).map { path throws(LeafError) in
            try Copy(path: path, mayBeDirect: reading.mode.triesDirect, system: system)
        }
        let requestBytes = min(request.bytes, copies.map(\.wholePagesBytes).min() ?? 0)
        let readerCount = max(request.depth, copies.count)
        let memory = try PageMemory(count: readerCount * requestBytes, .reserved, system: system)
        let nanoseconds = UInt64(min(max(0, seconds), 3600) * 1e9)
        let begin = now()
        let end = begin + nanoseconds
        let progress = copies.map {
            Progress(
                requestBytes: requestBytes, pieceCount: $0.wholePagesBytes / requestBytes, begin: begin,
                countFrom: begin + nanoseconds / 3)
        }
        let readers = ThreadGroup(system: system)
        defer { readers.wait() }
        for reader in 0..<readerCount {
            let file = copies[reader % copies.count].file
            let own = progress[reader % copies.count]
            do {
                try readers.start {
                    own.read(file, into: memory, at: reader * requestBytes) { now() < end && !isCancelled() }
                }
            } catch {
                for progress in progress { progress.stop() }
                throw error
            }
        }
        readers.wait()
        let counts = progress.map(\.counts)
        for (copy, counts) in zip(copies, counts) {
            if let failure = counts.failure { throw LeafError(.io, "\(copy.file.path): \(failure.sentence)") }
        }
        return DiskProbe(
            mode: copies.allSatisfy(\.file.isDirect) ? .direct : .buffered,
            bytesRead: counts.reduce(0) { $0 + $1.bytes },
            seconds: Double(counts.map { $0.last - $0.first }.max() ?? 0) * 1e-9)
    }

    /// One copy of the file, opened.
    private struct Copy {
        let file: ReadableFile
        let wholePagesBytes: Int

        init(path: String, mayBeDirect: Bool, system: SystemCalls) throws(LeafError) {
            let bytes: Int
            do throws(ReadFailure) {
                let buffered = try ReadableFile(path: path, direct: false, system: system)
                bytes = try buffered.size()
                let direct = mayBeDirect ? try? ReadableFile.direct(path: path, probing: 0, system: system) : nil
                file = direct ?? buffered
            } catch {
                throw LeafError(.io, "\(path): \(error.sentence)")
            }
            wholePagesBytes = bytes / PageMemory.pageBytes * PageMemory.pageBytes
            guard wholePagesBytes > 0 else {
                throw LeafError(
                    .badInput, "\(path) has \(bytes.of("byte")), too few to measure a disk with; name a larger file")
            }
        }
    }

    private static func now() -> UInt64 { DispatchTime.now().uptimeNanoseconds }

    /// State that the readers of one copy share.
    private final class Progress: Sendable {
        struct Counts {
            /// Bytes counted between `first` and `last`.
            var bytes = 0
            var first: UInt64
            var last: UInt64
            var failure: ReadFailure?
            var isStopped = false
        }

        /// The number of consecutive requests before the next offset is chosen.
        private static let runLength: UInt64 = 128

        private let requestBytes: Int
        private let pieceCount: Int
        private let countFrom: UInt64
        private let turn = Atomic<UInt64>(0)
        private let state: Monitor<Counts>

        init(requestBytes: Int, pieceCount: Int, begin: UInt64, countFrom: UInt64) {
            self.requestBytes = requestBytes
            self.pieceCount = pieceCount
            self.countFrom = countFrom
            state = Monitor(Counts(first: begin, last: begin))
        }

        /// Multiples of the golden ratio spread over the file, far from each other.
        func nextOffset() -> Int {
            let turn = turn.add(1, ordering: .relaxed).oldValue
            let (run, step) = turn.quotientAndRemainder(dividingBy: Self.runLength)
            let start = ((run &+ 1) &* 0x9E37_79B9_7F4A_7C15).multipliedFullWidth(by: UInt64(pieceCount)).high
            return Int((start + step) % UInt64(pieceCount)) * requestBytes
        }

        func read(
            _ file: ReadableFile, into memory: PageMemory, at offset: Int, while isWanted: () -> Bool
        ) {
            let room = memory.bytes(at: offset, count: requestBytes)
            repeat {
                let outcome = Result { () throws(ReadFailure) in try file.fill(room, from: nextOffset()) }
                if !add(outcome, at: DiskProbe.now()) { return }
            } while isWanted()
        }

        /// Ends the readers, each after its read.
        func stop() { state.withLock { $0.isStopped = true } }

        /// Returns whether to continue.
        private func add(_ outcome: Result<Void, ReadFailure>, at now: UInt64) -> Bool {
            state.withLock { state in
                switch outcome {
                case .failure(let failure): state.failure = state.failure ?? failure
                case .success:
                    state.last = max(state.last, now)
                    if now < countFrom {
                        state.first = state.last
                    } else {
                        state.bytes += requestBytes
                    }
                }
                return state.failure == nil && !state.isStopped
            }
        }

        var counts: Counts { state.withLock { $0 } }
    }
}
