import Dispatch
import LeafFormat
import Synchronization

/// Makes chunks on several threads ahead of the one that uses them, in order, so that processors and disk work at the
/// same time.
struct ChunkPipeline {
    /// Some stored rows of a matrix.
    struct Job: Sendable {
        /// Index into the model's matrices.
        let matrix: Int
        let rows: Range<Int>
        let byteCount: Int
        let isLastOfBlock: Bool
    }

    /// What a job fills: its rows, and a scale for each of them.
    struct Slot: @unchecked Sendable {
        let bytes: AlignedBuffer
        let scales: AlignedBuffer

        var rowScales: UnsafeMutableBufferPointer<Float> { scales.bytes.assumingMemoryBound(to: Float.self) }
    }

    private let slots: [Slot]
    private let threads: Int

    /// Slots beyond one a thread: what is made while the disk is waited for.
    private static let slotsAhead = 4

    /// - Parameter rows: the most of a job.
    init(threads: Int, rows: Int) throws(LeafError) {
        self.threads = threads
        var slots: [Slot] = []
        for _ in 0..<threads + Self.slotsAhead {
            slots.append(
                Slot(
                    bytes: try AlignedBuffer(count: ChunkGeometry.maximumBytes),
                    scales: try AlignedBuffer(count: rows * MemoryLayout<Float>.size)))
        }
        self.slots = slots
    }

    /// - Parameters:
    ///   - make: fills a slot, on any thread.
    ///   - use: is handed the filled slots in the order of the jobs, on the calling thread.
    /// - Throws: the first error of either, when no thread works any more.
    func run(
        _ jobs: [Job], make: @escaping @Sendable (Job, Slot) throws(LeafError) -> Void,
        use: (Job, Slot) throws(LeafError) -> Void
    ) throws(LeafError) {
        let stream = Stream(jobs: jobs, slots: slots, make: make)
        let queue = DispatchQueue(label: "leafcutter.synthesis", qos: .userInitiated, attributes: .concurrent)
        let workers = DispatchGroup()
        for _ in 0..<threads { queue.async(group: workers) { stream.makeAll() } }
        defer {
            stream.stop(threads)
            workers.wait()
        }
        for index in jobs.indices {
            try use(jobs[index], try stream.wait(for: index))
            stream.release()
        }
    }

    /// What the threads share. A thread that has an empty slot takes the next job; job `i` lies in slot `i % slots.count`,
    /// which is empty by then because slots are emptied in order.
    private final class Stream: Sendable {
        private let jobs: [Job]
        private let slots: [Slot]
        private let make: @Sendable (Job, Slot) throws(LeafError) -> Void
        private let empty: DispatchSemaphore
        private let full: [DispatchSemaphore]
        private let next = Atomic<Int>(0)
        private let isStopped = Atomic<Bool>(false)
        private let fault = Mutex<LeafError?>(nil)

        init(jobs: [Job], slots: [Slot], make: @escaping @Sendable (Job, Slot) throws(LeafError) -> Void) {
            self.jobs = jobs
            self.slots = slots
            self.make = make
            // A semaphore must not be destroyed below its first value, so it begins at zero.
            empty = DispatchSemaphore(value: 0)
            full = slots.map { _ in DispatchSemaphore(value: 0) }
            for _ in slots { empty.signal() }
        }

        func makeAll() {
            while true {
                empty.wait()
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < jobs.count, !isStopped.load(ordering: .acquiring) else { return }
                do throws(LeafError) {
                    try make(jobs[index], slots[index % slots.count])
                } catch {
                    fault.withLock { $0 = $0 ?? error }
                }
                full[index % slots.count].signal()
            }
        }

        func wait(for index: Int) throws(LeafError) -> Slot {
            full[index % slots.count].wait()
            if let error = fault.withLock({ $0 }) { throw error }
            return slots[index % slots.count]
        }

        func release() { empty.signal() }

        func stop(_ threads: Int) {
            isStopped.store(true, ordering: .releasing)
            for _ in 0..<threads { empty.signal() }
        }
    }
}
