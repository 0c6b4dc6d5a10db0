internal import Dispatch
public import LeafFormat
public import LeafSystem

/// Records when a run did what, for a timeline: reads, waits, kernels and sweeps.
///
/// The buffer is allocated once and counted by the plan (`byteCount`). Recording takes a short lock and allocates
/// nothing. When the buffer is full, recording stops, and the file says what is missing. A caller that records holds an
/// optional recorder, so a run without one pays a comparison with nil.
public final class TraceRecorder: @unchecked Sendable {
    /// The kinds of events, and the meaning of each one's detail.
    package enum Kind: UInt8 {
        /// A sweep with rows of a prompt; the detail is the number of rows. `decode` is a sweep without.
        case prompt, decode
        /// A block of the model, by its index.
        case block
        /// One thread's part of a matrix, by the matrix's index.
        case linear
        /// One thread's part of a layer's attention; the detail counts layers that have attention.
        case attention
        /// Norms and quantization of rows.
        case rows
        /// A consumer slept until a chunk was loaded.
        case wait
        /// A piece of a chunk was read from the disk; see `detail(_:ofChunk:)`.
        case read
        /// Drafts were made for the next sweep; the detail is their number.
        case draft
    }

    /// A chunk has at most 32 pieces.
    static func detail(_ piece: Int, ofChunk chunk: Int) -> Int { chunk << 5 | piece }

    /// The line of the timeline on which an event is drawn.
    package enum Lane {
        /// The line of sweeps and blocks.
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

    /// The number of events that fit. A sweep of the 10B model makes up to 40,000, most of them reads.
    public static let capacity = 1 << 19
    /// Bytes of a recorder, for the memory plan.
    public static let byteCount = capacity * MemoryLayout<Event>.stride

    private let memory: PageMemory
    private let events: UnsafeMutablePointer<Event>
    private let capacity: Int
    private let state = Monitor(State())
    private let output: TraceFile

    /// Opens the file, so that a path that cannot be written is found before the run.
    ///
    /// - Parameter isCancelled: whether writing to a pipe should not wait any more for whoever reads it.
    /// - Throws: `.io` if the file cannot be made, `.budget` if the system refuses the memory.
    public convenience init(
        path: String, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(LeafError) {
        try self.init(path: path, capacity: Self.capacity, isCancelled: isCancelled)
    }

    package init(
        path: String, capacity: Int, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(LeafError) {
        output = try TraceFile(path: path, isCancelled: isCancelled)
        memory = try PageMemory(count: capacity * MemoryLayout<Event>.stride, for: "a timeline", .reserved)
        events = memory.bytes.baseAddress!.bindMemory(to: Event.self, capacity: capacity)
        self.capacity = capacity
    }

    /// The time to pass to `record` later; zero if nothing is recorded.
    @inline(__always)
    package static func now(_ trace: TraceRecorder?) -> UInt64 {
        trace == nil ? 0 : DispatchTime.now().uptimeNanoseconds
    }

    /// Records something that began at `begin` and has just ended.
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

    /// Ends the recording and writes the file, which is renamed to its final name when it is complete.
    ///
    /// - Parameter file: gives the names of blocks and matrices.
    /// - Returns: the number of events that did not fit.
    /// - Throws: `.io`, `.cancelled` if the wait for a reader was given up.
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
