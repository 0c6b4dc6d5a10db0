/// What an executor is made for. Its part of the memory plan and its buffers follow from the same values.
public struct ExecutorOptions: Sendable {
    /// The most that all texts together may demand.
    public var capacity: Demand
    /// Compute threads.
    public var threads: Int
    public var activations: ActivationPrecision
    public var kv: KVPrecision
    /// Adapters and soft prompts beside the model.
    public var tuning: ModelTuning
    /// The blocks that are run; nil for all.
    public var blocks: Range<Int>?

    public init(
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
