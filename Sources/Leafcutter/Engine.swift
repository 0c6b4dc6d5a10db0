package import CPMAnt
import Dispatch
package import LeafFormat
package import LeafStream

/// Owns what runs: the store, the compute threads and the model, which one serial queue alone touches.
package final class Engine: @unchecked Sendable {
    package let store: BlockStore
    private let pool: ComputePool
    private let model: CPMAntModel
    /// Gives memory back where the budget was left to us.
    private let pressureWatch: PressureWatch?
    /// Never a thread of Swift's cooperative pool: a sweep blocks for seconds.
    private let queue = DispatchQueue(label: "leafcutter.engine", qos: .userInitiated)

    init(_ file: LeafFile, _ settings: Settings, _ plan: MemoryPlan) throws(LeafError) {
        if let mirror = settings.mirror, try !LeafFile.open(path: mirror).isCopy(of: file) {
            throw LeafError(.usage, "\(mirror) is not a copy of \(file.path); copy the model there again")
        }
        let store = try BlockStore(
            file: file, plan: plan, mode: settings.io, mirror: settings.mirror,
            maxBytesPerSecond: settings.maxBytesPerSecond, consumers: settings.capacity.threads,
            trace: settings.trace)
        self.store = store
        pool = try ComputePool(threadCount: settings.capacity.threads)
        do {
            model = try CPMAntModel(
                file: file, store: store, pool: pool, instructionSet: settings.instructionSet,
                capacity: settings.capacity, activations: settings.activations, kv: settings.kv, trace: settings.trace)
        } catch {
            pool.stop()
            throw error
        }
        pressureWatch = settings.reserveBytes.map { PressureWatch(store, reserveBytes: $0) }
    }

    deinit { pool.stop() }

    /// Runs `body` with the model on the engine's queue, and waits.
    package func perform<Value>(_ body: (CPMAntModel) throws(LeafError) -> Value) throws(LeafError) -> Value {
        let outcome: Result<Value, LeafError> = queue.sync {
            Result { () throws(LeafError) in try body(model) }
        }
        return try outcome.get()
    }

    /// Runs `body` with the model on the engine's queue, later.
    func enqueue(_ body: @escaping @Sendable (CPMAntModel) -> Void) {
        queue.async { body(self.model) }
    }
}
