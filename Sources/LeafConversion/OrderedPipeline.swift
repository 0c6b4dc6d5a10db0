import Dispatch
package import LeafSystem
import Synchronization

/// Makes values on several threads ahead of the one that uses them, in order, so that processors and disk work at the
/// same time.
///
/// Value `i` is made in slot `i % slots`, a set of buffers that is free again once the value before in it was used.
/// Threads take the next number when a slot is free, so numbers are begun in order: `make` may wait for those before
/// its own.
package struct OrderedPipeline<Slot: Sendable>: Sendable {
    private let slots: [Slot]
    private let threads: Int
    private let system: SystemCalls

    /// A thread's stack.
    private static var threadBytes: Int { 1 << 20 }
    /// The small values of all threads.
    private static var heapBytes: Int { 4 << 20 }

    /// - Parameters:
    ///   - slots: not empty; more than threads let values be made while the user waits for something else.
    ///   - threads: at least one.
    package init(slots: [Slot], threads: Int, system: SystemCalls = .real) {
        precondition(!slots.isEmpty && threads > 0)
        self.system = system
        self.slots = slots
        self.threads = threads
    }

    /// - Parameters:
    ///   - count: of values.
    ///   - make: makes a value in a slot, on any thread.
    ///   - use: is handed the values in order, on the calling thread. A value may point into its slot until `use`
    ///     returns.
    /// - Throws: the first error in the order of the values, of `make` or `use`, `.io` when the system starts no more
    ///   threads, or `.budget` when it gives no memory for them; no thread works any more then.
    package func run<Value>(
        _ count: Int, make: @escaping @Sendable (Int, Slot) throws(LeafError) -> Value,
        use: (Int, Value) throws(LeafError) -> Void
    ) throws(LeafError) {
        // Swift ends a program to which malloc gives nothing, so what is wanted besides the slots is asked for here and
        // given back: a refusal is an error.
        _ = try PageMemory(count: threads * Self.threadBytes + Self.heapBytes, for: "threads", system: system)
        let stream = Stream(count: count, slots: slots, make: make)
        let makers = ThreadGroup(system: system)
        defer {
            stream.stop(threads)
            makers.wait()
        }
        for _ in 0..<threads { try makers.start { stream.makeAll() } }
        for index in 0..<count {
            try use(index, try stream.wait(for: index))
            stream.release()
        }
    }

    /// What the threads share. A result belongs to the thread that makes it until `full`, then to the user until
    /// `empty`.
    private final class Stream<Value>: @unchecked Sendable {
        private let count: Int
        private let slots: [Slot]
        private let make: @Sendable (Int, Slot) throws(LeafError) -> Value
        private let results: UnsafeMutablePointer<Result<Value, LeafError>?>
        private let empty: DispatchSemaphore
        private let full: [DispatchSemaphore]
        private let next = Atomic<Int>(0)
        private let isStopped = Atomic<Bool>(false)

        init(count: Int, slots: [Slot], make: @escaping @Sendable (Int, Slot) throws(LeafError) -> Value) {
            self.count = count
            self.slots = slots
            self.make = make
            results = .allocate(capacity: slots.count)
            results.initialize(repeating: nil, count: slots.count)
            // A semaphore must not be destroyed while it is below its first value, so it begins at zero.
            empty = DispatchSemaphore(value: 0)
            full = slots.map { _ in DispatchSemaphore(value: 0) }
            for _ in slots { empty.signal() }
        }

        deinit {
            results.deinitialize(count: slots.count)
            results.deallocate()
        }

        func makeAll() {
            while true {
                empty.wait()
                // A number that is taken is made, since later ones may wait for it.
                guard !isStopped.load(ordering: .acquiring) else { return }
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < count else { return }
                let slot = index % slots.count
                do throws(LeafError) {
                    results[slot] = .success(try make(index, slots[slot]))
                } catch {
                    results[slot] = .failure(error)
                }
                full[slot].signal()
            }
        }

        func wait(for index: Int) throws(LeafError) -> Value {
            full[index % slots.count].wait()
            return try results[index % slots.count]!.get()
        }

        func release() { empty.signal() }

        func stop(_ threads: Int) {
            isStopped.store(true, ordering: .releasing)
            for _ in 0..<threads { empty.signal() }
        }
    }
}
