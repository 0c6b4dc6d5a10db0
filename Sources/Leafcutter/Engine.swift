package import CPMAnt
import Dispatch
package import LeafFormat
package import LeafGeneration
package import LeafStream
import LeafTokenizer

/// Owns what runs: the store, the compute threads, the model and its scheduler, which one serial queue alone touches.
package final class Engine: @unchecked Sendable {
    package let store: BlockStore
    private let pool: ComputePool
    private let model: CPMAntModel
    private let scheduler: Scheduler
    /// Whether the next sweep is on the queue.
    private var isSweepQueued = false
    /// Gives memory back where the budget was left to us.
    private let pressureWatch: PressureWatch?
    /// Never a thread of Swift's cooperative pool: a sweep blocks for seconds.
    private let queue = DispatchQueue(label: "leafcutter.engine", qos: .userInitiated)

    init(_ file: LeafFile, _ settings: Settings, _ plan: MemoryPlan) throws(LeafError) {
        if let mirror = settings.reading.mirror, try !LeafFile.open(path: mirror).isCopy(of: file) {
            throw LeafError(.usage, "\(mirror) is not a copy of \(file.path); copy the model there again")
        }
        let store = try BlockStore(
            file: file, plan: plan, reading: settings.reading, consumers: settings.capacity.threads,
            trace: settings.trace)
        self.store = store
        pool = try ComputePool(threadCount: settings.capacity.threads)
        do {
            model = try CPMAntModel(
                file: file, store: store, pool: pool, instructionSet: settings.instructionSet,
                capacity: settings.capacity, activations: settings.activations, kv: settings.kv,
                tuning: settings.file.tuning(settings.instructionSet), trace: settings.trace)
            scheduler = try Scheduler(model: model)
        } catch {
            pool.stop()
            throw error
        }
        pressureWatch = settings.reserveBytes.map { PressureWatch(store, reserveBytes: $0) }
    }

    deinit { pool.stop() }

    /// Runs `body` with the model alone on the engine's queue, once the tracks under way have finished, and waits.
    package func perform<Value>(_ body: (CPMAntModel) throws(LeafError) -> Value) throws(LeafError) -> Value {
        let outcome: Result<Value, LeafError> = queue.sync {
            scheduler.finishActive()
            return Result { () throws(LeafError) in try body(model) }
        }
        return try outcome.get()
    }

    /// Makes a track on the engine's queue, where it lives.
    package typealias TrackMaker = @Sendable () -> any Track

    /// Adds tracks, all before the next sweep; they join as soon as there is room.
    package func add(_ makers: [TrackMaker]) {
        queue.async { [self] in
            for make in makers { scheduler.add(make()) }
            queueSweep()
        }
    }

    /// One sweep is one piece of the queue's work, so that whoever came meanwhile has a turn before the next.
    private func queueSweep() {
        guard scheduler.hasWork, !isSweepQueued else { return }
        isSweepQueued = true
        queue.async { [self] in
            isSweepQueued = false
            scheduler.sweep()
            queueSweep()
        }
    }
}
