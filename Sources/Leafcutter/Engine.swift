package import CPMAnt
import Dispatch
package import LeafFormat
package import LeafStream

/// Owns what runs: the store, the compute threads and the model, which one serial queue alone touches.
package final class Engine: @unchecked Sendable {
    package let store: BlockStore
    private let pool: ComputePool
    private let model: CPMAntModel
    /// Never a thread of Swift's cooperative pool: a sweep blocks for seconds.
    private let queue = DispatchQueue(label: "leafcutter.engine", qos: .userInitiated)

    init(_ file: LeafFile, _ settings: Settings, _ plan: MemoryPlan) throws(LeafError) {
        store = try BlockStore(
            file: file, plan: plan, mode: settings.io, consumers: settings.capacity.threads,
            trace: settings.trace)
        pool = try ComputePool(threadCount: settings.capacity.threads)
        do {
            model = try CPMAntModel(
                file: file, store: store, pool: pool, instructionSet: settings.instructionSet,
                capacity: settings.capacity, activations: settings.activations, kv: settings.kv, trace: settings.trace)
        } catch {
            pool.stop()
            throw error
        }
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
