package import CPMAntShape
package import LeafExecutor
package import LeafStream
package import LeafSystem

extension CPMAnt {
    /// An executor of a whole model.
    ///
    /// - Throws: `.io` and `.badInput` if resident tensors cannot be read, `.budget` if the system refuses memory,
    ///   `.usage` for float weights on a machine without OpenBLAS.
    package static func executor(
        of file: CPMAntFile, store: BlockStore, pool: ComputePool, _ options: ExecutorOptions,
        sharing cache: KVCache? = nil, borrowingFrom lender: Executor? = nil, trace: TraceRecorder? = nil
    ) throws(LeafError) -> Executor {
        let residents = try ResidentTensors(file.leaf, file.wantedTensors(), store: store)
        return try Executor(
            CPMAnt(file, residents: residents, longest: options.capacity.longest), file: file.leaf,
            residents: residents, store: store, pool: pool, options, sharing: cache, borrowingFrom: lender,
            trace: trace)
    }

    /// The parts of the memory plan that hold everything that `executor` allocates.
    ///
    /// - Throws: `.badInput` when the file lacks a tensor.
    package static func parts(
        _ file: CPMAntFile, _ options: ExecutorOptions, sharesCache: Bool = false
    ) throws(LeafError) -> [MemoryPlan.Part] {
        Executor.parts(
            file.leaf, file.facts,
            residentBytes: ResidentTensors.byteCount(try file.wantedTensors())
                + PositionBuckets.byteCount(
                    maxDistance: file.configuration.positionBiasMaxDistance, longest: options.capacity.longest),
            options, sharesCache: sharesCache)
    }
}
