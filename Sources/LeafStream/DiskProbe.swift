internal import Dispatch
public import LeafFormat
internal import Synchronization

/// The rate at which a file can be read, measured as a store reads: the same depth, the same request size, places all
/// over the file.
public struct DiskProbe: Sendable, Equatable {
    /// `direct` or `buffered`.
    public let mode: IOMode
    public let bytesRead: Int
    public let seconds: Double

    public var bytesPerSecond: Double { seconds > 0 ? Double(bytesRead) / seconds : 0 }

    /// - Parameters:
    ///   - seconds: how long to read. Rented disks serve short bursts at a multiple of what they sustain.
    ///   - requestBytes: of one read, a multiple of 4096; the largest chunk has 4 MiB. Each of `depth` readers holds a
    ///     buffer of this size meanwhile.
    /// - Throws: `.io` when the file cannot be read, `.badInput` when it is shorter than a page.
    public static func measure(
        path: String, seconds: Double = 3, requestBytes: Int = 4 << 20, depth: Int = BlockStore.readDepth
    ) throws(LeafError) -> DiskProbe {
        try measure(path: path, seconds: seconds, requestBytes: requestBytes, depth: depth, system: .real)
    }

    package static func measure(
        path: String, seconds: Double, requestBytes: Int, depth: Int, system: SystemCalls
    ) throws(LeafError) -> DiskProbe {
        let file: ReadableFile
        let fileBytes: Int
        do throws(ReadFailure) {
            let buffered = try ReadableFile(path: path, direct: false, system: system)
            fileBytes = try buffered.size()
            file = (try? .direct(path: path, probing: 0, system: system)) ?? buffered
        } catch {
            throw LeafError(.io, "\(path): \(error.sentence)")
        }
        let request = min(requestBytes, fileBytes / ReadableFile.alignment * ReadableFile.alignment)
        guard request > 0 else {
            throw LeafError(
                .badInput, "\(path) has \(fileBytes) bytes, too few to measure a disk with; name a larger file")
        }
        let slab = try Slab(count: depth * request, system: system)
        let progress = Progress(requestBytes: request, places: (fileBytes - request) / ReadableFile.alignment + 1)
        let start = DispatchTime.now().uptimeNanoseconds
        let end = start + UInt64(min(max(0, seconds), 3600) * 1e9)
        let readers = DispatchGroup()
        for reader in 0..<depth {
            DispatchQueue(label: "leafcutter.probe.\(reader)", qos: .userInitiated).async(group: readers) {
                repeat {
                    let outcome = Result { () throws(ReadFailure) in
                        try file.fill(slab.bytes(at: reader * request, count: request), from: progress.nextOffset())
                    }
                    if !progress.add(outcome) { return }
                } while DispatchTime.now().uptimeNanoseconds < end
            }
        }
        readers.wait()
        let elapsed = Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
        let (bytes, failure) = progress.result
        if let failure { throw LeafError(.io, "\(path): \(failure.sentence)") }
        return DiskProbe(mode: file.isDirect ? .direct : .buffered, bytesRead: bytes, seconds: elapsed)
    }

    /// What the probe's readers share.
    private final class Progress: Sendable {
        private let requestBytes: Int
        /// Pages at which a request may begin.
        private let places: Int
        private let turn = Atomic<UInt64>(0)
        private let state = Monitor((bytes: 0, failure: ReadFailure?.none))

        init(requestBytes: Int, places: Int) {
            self.requestBytes = requestBytes
            self.places = places
        }

        /// Multiples of the golden ratio fall all over the file, and far from each other.
        func nextOffset() -> Int {
            let turn = turn.add(1, ordering: .relaxed).newValue &* 0x9E37_79B9_7F4A_7C15
            return Int(turn.multipliedFullWidth(by: UInt64(places)).high) * ReadableFile.alignment
        }

        /// Whether to go on.
        func add(_ outcome: Result<Void, ReadFailure>) -> Bool {
            state.withLock { state in
                switch outcome {
                case .success: state.bytes += requestBytes
                case .failure(let failure): state.failure = state.failure ?? failure
                }
                return state.failure == nil
            }
        }

        var result: (bytes: Int, failure: ReadFailure?) { state.withLock { $0 } }
    }
}
