/// What an executor is made for. Its part of the memory plan and its buffers follow from the same values.
package struct ExecutorOptions: Sendable {
    /// The most that all texts together may demand.
    package var capacity: Demand
    /// Compute threads.
    package var threads: Int
    package var activations: ActivationPrecision
    package var kv: KVPrecision
    /// Adapters and soft prompts beside the model.
    package var tuning: ModelTuning
    /// The blocks that are run; nil for all.
    package var blocks: Range<Int>?

    package init(
        capacity: Demand, threads: Int, activations: ActivationPrecision, kv: KVPrecision,
        tuning: ModelTuning = ModelTuning(), blocks: Range<Int>? = nil
    ) {
        self.capacity = capacity
        self.threads = threads
        self.activations = activations
        self.kv = kv
        self.tuning = tuning
        self.blocks = blocks
    }
}
