import CLeafKernels
import CPMAnt
import CPMAntShape
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafStream
import LeafSystem
import Leafcutter
import Synchronization
import Testing

/// All instruction sets give the same bits, so only names and counts tell whose functions ran.
@Suite("Chosen kernels") struct KernelChoiceTests {
    @Test(arguments: InstructionSet.available)
    func aModelComputesWithTheKernelsThatItWasOpenedWith(set: InstructionSet) throws {
        let directory = try TemporaryDirectory()
        let model = try Model(
            Fixture.tiny(in: directory),
            ModelOptions(
                memory: .gibibytes(1), threads: 2, instructionSet: set, capacity: .init(context: 16)))
        let found = try model.engine.perform { model throws(LeafError) in
            [String(cString: model.kernels.floats.name), String(cString: model.kernels.product.name)]
        }
        let wanted = Kernels(set)
        #expect(found == [String(cString: wanted.floats.name), String(cString: wanted.product.name)])
    }

    @Test func tokensAreChosenWithTheKernelsOfTheSweep() throws {
        let directory = try TemporaryDirectory()
        let file = try Fixture.tiny(in: directory)
        let options = GenerationOptions(decoding: .greedy, maxTokens: 5, eosID: 0)
        let request = GenerationRequest(
            prompt: try file.rows(of: .ids([6, 20, 30]), options), options: options, samples: 1)
        let capacity = Demand(together: [request.demand(in: file.configuration)])
        var floats = Choices.best.floats
        floats.argmax = { row, count in
            Choices.made.wrappingAdd(1, ordering: .relaxed)
            return Choices.best.floats.argmax(row, count)
        }
        let pool = try ComputePool(
            threadCount: 1,
            kernels: Kernels(floats: floats, products: Choices.best.products))
        defer { pool.stop() }
        let plan = try Model.plan(file, ModelOptions(memory: .gibibytes(1), threads: 1, capacity: capacity))
        let store = try BlockStore(file: file.leaf, plan: plan, consumers: 1)
        let executor = try CPMAnt.executor(
            of: CPMAntFile.open(path: file.leaf.path), store: store, pool: pool,
            ExecutorOptions(capacity: capacity, threads: 1, activations: .int16, kv: .f16))
        let queue = try SerialThread(system: .real)
        let scheduler = try Scheduler(
            model: executor, queue: queue, interest: SweepInterest(interrupt: {}, resume: {}))
        let tokens = Mutex(0)
        let track = request.track(
            for: file.configuration, vocabulary: nil, cancellation: Cancellation(),
            onEvent: { event in
                guard case .finished(let outcome) = event else { return }
                tokens.withLock { $0 = (try? outcome.get())?.samples[0].ids.count ?? 0 }
            })
        queue.sync {
            scheduler.add(track)
            while scheduler.hasWork { scheduler.sweep() }
        }
        let count = tokens.withLock { $0 }
        #expect(count > 0 && Choices.made.load(ordering: .relaxed) >= count)
    }
}

/// How often a C function without a context was called.
private enum Choices {
    static let best = Kernels(.best)
    static let made = Atomic(0)
}
