internal import Dispatch
public import LeafFormat

/// What a run did when: reads, waits, kernels and sweeps, for a timeline.
///
/// The buffer is allocated once and counted by the plan (`byteCount`). Recording takes a short lock and allocates
/// nothing; when the buffer is full it stops, and the file says what is missing. Who records holds an optional recorder,
/// so that a run without one pays a comparison with nil.
public final class TraceRecorder: @unchecked Sendable {
    /// What an event tells, and what its detail counts.
    package enum Kind: UInt8 {
        /// A sweep with rows of a prompt, and one without; the detail is the number of rows.
        case prompt, decode
        /// A block of the model, by its index.
        case block
        /// One thread's part of a matrix, by the matrix's index.
        case linear
        /// One thread's part of a layer's attention; the layer counts those with attention.
        case attention
        /// Norms and quantization of rows.
        case rows
        /// A consumer slept until the chunk was there.
        case wait
        /// A piece of a chunk was brought from the disk; see `detail(_:ofChunk:)`.
        case read
    }

    /// A chunk has at most 32 pieces.
    static func detail(_ piece: Int, ofChunk chunk: Int) -> Int { chunk << 5 | piece }

    /// Whose line of the timeline an event stands on.
    package enum Lane {
        /// Sweeps and blocks.
        case steps
        case compute(Int)
        case reader(Int)

        /// The thread number in the file: lines are sorted by it.
        var number: Int {
            switch self {
            case .steps: 1
            case .compute(let thread): 1000 + thread
            case .reader(let reader): 5000 + reader
            }
        }
    }

    struct Event: BitwiseCopyable {
        /// Nanoseconds of the monotonic clock.
        let begin: UInt64
        let nanoseconds: UInt64
        let detail: Int32
        let lane: UInt16
        let kind: UInt8
    }

    private struct State {
        var count = 0
        var dropped = 0
        var isRecording = true
    }

    /// Events that fit: a sweep of the 10B model makes up to 40,000, most of them reads.
    public static let capacity = 1 << 19
    /// Bytes that a recorder takes, for the memory plan.
    public static let byteCount = capacity * MemoryLayout<Event>.stride

    private let slab: Slab
    private let events: UnsafeMutablePointer<Event>
    private let capacity: Int
    private let state = Monitor(State())
    private let output: TraceFile

    /// Opens the file, so that a path that cannot be written is known before the run.
    /// - Throws: `.io` when the file cannot be made, `.budget` when the system refuses the memory.
    public convenience init(path: String) throws(LeafError) { try self.init(path: path, capacity: Self.capacity) }

    package init(path: String, capacity: Int) throws(LeafError) {
        output = try TraceFile(path: path)
        slab = try Slab(
            count: (capacity * MemoryLayout<Event>.stride + 4095) / 4096 * 4096, system: .real)
        events = slab.base.bindMemory(to: Event.self, capacity: capacity)
        self.capacity = capacity
    }

    /// The time to hand to `record` later; zero when nothing is recorded.
    @inline(__always)
    package static func now(_ trace: TraceRecorder?) -> UInt64 {
        trace == nil ? 0 : DispatchTime.now().uptimeNanoseconds
    }

    /// Something that began at `begin` has just ended.
    package func record(_ kind: Kind, on lane: Lane, since begin: UInt64, _ detail: Int) {
        let now = DispatchTime.now().uptimeNanoseconds
        let event = Event(
            begin: begin, nanoseconds: now - min(now, begin), detail: Int32(clamping: detail),
            lane: UInt16(clamping: lane.number), kind: kind.rawValue)
        state.withLock { state in
            guard state.isRecording else { return }
            if state.count == capacity {
                state.dropped += 1
            } else {
                events[state.count] = event
                state.count += 1
            }
        }
    }

    /// Ends the recording and writes the file, which gets its name when it is whole.
    ///
    /// - Parameter file: names blocks and matrices.
    /// - Returns: how many events did not fit.
    @discardableResult
    public func finish(naming file: LeafFile) throws(LeafError) -> Int {
        let (count, dropped) = state.withLock { state in
            state.isRecording = false
            return (state.count, state.dropped)
        }
        try output.write(UnsafeBufferPointer(start: events, count: count), dropped: dropped, naming: file)
        return dropped
    }
}
