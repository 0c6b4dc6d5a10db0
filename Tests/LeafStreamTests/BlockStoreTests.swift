import Foundation
import GoldenSupport
import LeafFormat
import LeafStream
import LeafSystem
import Testing

let nothingReserved = [MemoryPlan.Part].reserved(runtime: 0, tokenizer: 0, resident: 0, kv: 0, scratch: 0)

/// A value behind a lock that the thread sanitizer knows; it takes the standard library's `Mutex` for a race.
final class Locked<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value
    init(_ value: Value) { self.value = value }
    func withLock<Result>(_ body: (inout Value) -> Result) -> Result { lock.withLock { body(&value) } }
}

final class Mistakes: Sendable {
    private let list = Locked<[String]>([])
    func add(_ mistake: String) { list.withLock { $0.append(mistake) } }
    var all: [String] { list.withLock { $0.sorted() } }
}

/// Runs the body on that many threads at once and waits; `concurrentPerform` would take only as many as there are
/// cores.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let done = DispatchSemaphore(value: 0)
    for index in 0..<count {
        Thread.detachNewThread {
            body(index)
            done.signal()
        }
    }
    for _ in 0..<count { done.wait() }
}

/// Sweeps with several threads, each at its own random pace, comparing every byte; the mistakes that they saw.
func sweep(
    _ store: BlockStore, over model: TestModel, sweeps: Int, consumers: Int, seed: UInt64, napMicroseconds: UInt32 = 300
) -> [String] {
    let mistakes = Mistakes()
    onThreads(consumers) { consumer in
        var random = SeededGenerator(seed: seed &+ UInt64(consumer))
        for sweep in 0..<sweeps {
            for chunk in model.file.chunks.indices {
                do {
                    let lease = try store.lease(chunk)
                    if Int.random(in: 0..<4, using: &random) == 0 {
                        usleep(UInt32.random(in: 0...napMicroseconds, using: &random))
                    }
                    if !lease.bytes.hold(model.contents[chunk]) {
                        mistakes.add("sweep \(sweep), chunk \(chunk): wrong bytes")
                    }
                } catch {
                    mistakes.add("\(error)")
                    return
                }
            }
        }
    }
    return mistakes.all
}

@Suite("block store") struct BlockStoreTests {
    /// Parts of the way from the smallest budget to all of it; chunks in one piece and in up to ten.
    @Test(arguments: [IOMode.auto, .direct, .buffered, .map], [0.0, 0.2, 0.6, 1.0])
    func everySweepGivesTheFilesBytes(mode: IOMode, share: Double) throws {
        let seed = UInt64.random(in: 0 ... .max)
        let large = RequestShape(bytes: 1 << 20, depth: 4)
        let small = RequestShape(bytes: 4096, depth: 7)
        for (consumers, request) in [(1, large), (1, small), (2, large), (3, small)] {
            let sizes = TestModel.sizes(count: 40, largest: 40_000, seed: seed)
            let model = try TestModel(sizes: sizes, packed: [3, 4, 17, 39], seed: seed)
            let needs = model.file.chunks.map(\.slotBytes)
            let smallest = 2 * needs.max()!
            let bytes = smallest + Int(Double(needs.reduce(0, +) - smallest) * share)
            let plan = try MemoryPlan(
                budget: budget(holding: bytes), chunks: model.file.chunks, reserved: nothingReserved)
            let store = try BlockStore(
                file: model.file, plan: plan, reading: .init(mode: mode), request: request, consumers: consumers,
                system: .here)
            let mistakes = sweep(store, over: model, sweeps: 4, consumers: consumers, seed: seed)
            #expect(mistakes == [], "seed \(seed), \(consumers) consumers, \(request)")
            #expect(store.counters.sweeps == 4)
            #expect(store.counters.chunksServed == 160)
        }
    }
}

extension [MemoryPlan.Part] {
    /// The parts of a plan by name.
    static func reserved(runtime: Int, tokenizer: Int, resident: Int, kv: Int, scratch: Int) -> Self {
        [
            MemoryPlan.Part(.runtime, runtime), MemoryPlan.Part(.tokenizer, tokenizer),
            MemoryPlan.Part(.resident, resident), MemoryPlan.Part(.kv, kv), MemoryPlan.Part(.scratch, scratch),
        ]
    }
}
