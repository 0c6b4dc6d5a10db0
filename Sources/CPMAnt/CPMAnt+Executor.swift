public import CPMAntShape
public import LeafExecutor
public import LeafStream
public import LeafSystem

extension CPMAnt {
    /// An executor of a whole model.
    ///
    /// - Throws: `.io` and `.badInput` if resident tensors cannot be read, `.budget` if the system refuses memory,
    ///   `.usage` for float weights on a machine without OpenBLAS.
    public static func executor(
        of file: CPMAntFile, store: BlockStore, pool: ComputePool,
        capacity: ForwardCapacity, activations: ActivationPrecision, kv: KVPrecision,
        tuning: ModelTuning = ModelTuning(), trace: TraceRecorder? = nil
    ) throws(LeafError) -> Executor {
        let residents = try ResidentTensors(file.leaf, file.wantedTensors(), store: store)
        return try Executor(
            CPMAnt(file, residents: residents, longest: capacity.longest), file: file.leaf, residents: residents,
            store: store, pool: pool, capacity: capacity, activations: activations, kv: kv, tuning: tuning,
            trace: trace)
    }

    /// Bytes of everything that `executor` allocates, for the memory plan.
    ///
    /// - Throws: `.badInput` when the file lacks a tensor.
    public static func plannedBytes(
        _ file: CPMAntFile, capacity: ForwardCapacity, activations: ActivationPrecision, kv: KVPrecision,
        tuning: ModelTuning = ModelTuning()
    ) throws(LeafError) -> (resident: Int, kv: Int, scratch: Int) {
        Executor.plannedBytes(
            file.leaf, file.facts,
            residentBytes: ResidentTensors.byteCount(try file.wantedTensors())
                + PositionBuckets.byteCount(
                    maxDistance: file.configuration.positionBiasMaxDistance, longest: capacity.longest),
            capacity: capacity, activations: activations, kv: kv, tuning: tuning)
    }
}
