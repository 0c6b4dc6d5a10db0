import CPMAntShape
public import LeafFormat
public import LeafSystem

/// How to export a model.
public struct ExportOptions: Sendable {
    /// Nil for float16 if that loses nothing (float16 weights that contain the scaling), otherwise float32.
    public var weights: WeightFormat?
    /// The most bytes of tensors in one file.
    public var shardBytes = 4_000_000_000
    public var replacesExisting = false
    /// Of the kernels that convert numbers, such as `avx2`; nil for the fastest that this processor has.
    public var instructionSet: String?
    package var calls = WriteCalls()

    public init() {}
}

/// The progress of an export, in bytes of the files to write.
public struct ExportProgress: Sendable, Equatable {
    public let bytesDone: Int
    public let bytesTotal: Int
}

/// The result of an export.
public struct ExportResult: Sendable, Equatable {
    public let output: String
    public let parameters: Int
    /// Bytes of all files.
    public let bytes: Int
    public let seconds: Double
    public let tensors: Int
    public let shards: Int
    public let weights: WeightFormat
    public let peakBytes: Int
}

/// Makes a transformers folder (`CpmAntForCausalLM`, safetensors) from a model file.
///
/// Int8 weights are dequantized, and CPM-Live's scaling is folded in. `lm_head.weight` is always there, as the token
/// table once more, in a file of its own, unless the model has a head of its own.
public struct Exporter: Sendable {
    private let model: String
    private let folder: String
    private let options: ExportOptions

    /// - Parameters:
    ///   - model: a `.leaf` file.
    ///   - folder: the path of the folder, which is created if it does not exist.
    public init(model: String, folder: String, options: ExportOptions = ExportOptions()) {
        self.model = model
        self.folder = folder
        self.options = options
    }

    /// Exports the model. Files get their names when all of them are complete, and only then replace what was there;
    /// `config.json` is whole last.
    ///
    /// - Throws: `.badInput` for a damaged model or one that transformers cannot hold, `.usage` if there are files
    ///   already.
    public func run(
        isCancelled: () -> Bool = { false }, progress: (ExportProgress) -> Void = { _ in }
    ) throws(LeafError) -> ExportResult {
        try run(WeightKernels(options.instructionSet), isCancelled: isCancelled, progress: progress)
    }

    /// The same by kernels that are there already.
    package func run(
        _ kernels: WeightKernels, isCancelled: () -> Bool = { false }, progress: (ExportProgress) -> Void = { _ in }
    ) throws(LeafError) -> ExportResult {
        let clock = ContinuousClock()
        let began = clock.now
        let file = try CPMAntFile.open(path: model)
        let configuration = file.configuration
        if let index = configuration.layers.firstIndex(where: { !$0.hasAttention || !$0.hasFeedForward }) {
            throw LeafError(
                .badInput, "\(model) lacks half of layer \(index); transformers has no CPM-Ant with removed half layers"
            )
        }
        guard configuration.isUniform else {
            throw LeafError(
                .badInput, "the layers of \(model) have sizes of their own, which transformers' CPM-Ant cannot have")
        }
        let isLossless = file.weights == .float16 && configuration.isScaleFolded
        let weights = options.weights ?? (isLossless ? .float16 : .float32)
        guard !weights.isQuantized else {
            throw LeafError(.usage, "transformers has no \(weights.rawValue) CPM-Ant; use f16 or f32")
        }

        let shards = ExportShards(configuration, weights: weights, shardBytes: options.shardBytes)
        guard folder != OutputTarget.standardOutput else { throw OutputTarget.noFile(for: "a checkpoint's folder") }
        let hasVocabulary = file.leaf.tensor(LeafMetadata.vocabularyTensor) != nil
        let isNew = try FilePath.makeFolder(folder)
        do throws(LeafError) {
            var target = try ExportFolder(
                folder, making: shards.names(hasVocabulary: hasVocabulary), of: model,
                replacesExisting: options.replacesExisting, byteCount: shards.totalBytes, options.calls)
            do throws(LeafError) {
                try fill(&target, shards, file, weights, kernels, isCancelled, progress)
                try target.finish()
            } catch {
                target.abandon()
                throw error
            }
        } catch {
            if isNew { FilePath.removeFolderIfEmpty(folder) }
            throw error
        }
        return ExportResult(
            output: folder, parameters: ModelShape(configuration, weights: weights).parameterCount,
            bytes: shards.totalBytes, seconds: (clock.now - began) / .seconds(1),
            tensors: shards.tensorCount, shards: shards.files.count, weights: weights,
            peakBytes: ProcessMemory.peakBytes)
    }

    private func fill(
        _ target: inout ExportFolder, _ shards: ExportShards, _ file: CPMAntFile, _ weights: WeightFormat,
        _ kernels: WeightKernels, _ isCancelled: () -> Bool, _ progress: (ExportProgress) -> Void
    ) throws(LeafError) {
        let rows = try LeafRows(file, kernels)
        var done = 0
        for shard in shards.files {
            try target.make(shard.name) { (part) throws(LeafError) in
                var writer = try ShardWriter(shard, to: part, weights: weights, kernels)
                for tensor in shard.tensors {
                    try write(tensor, rows, &writer) { (count) throws(LeafError) in
                        done += count
                        progress(ExportProgress(bytesDone: done, bytesTotal: shards.totalBytes))
                        if isCancelled() {
                            throw LeafError(.cancelled, "the export was stopped; run it again from the start")
                        }
                    }
                }
            }
        }
        for (name, bytes) in try others(shards, file, rows, weights) {
            try target.make(name) { (part) throws(LeafError) in try part.write(bytes, at: 0) }
        }
    }

    /// What is no weight, the configuration last.
    private func others(
        _ shards: ExportShards, _ file: CPMAntFile, _ rows: LeafRows, _ weights: WeightFormat
    ) throws(LeafError) -> [(name: String, bytes: [UInt8])] {
        var others = [(ExportShards.indexName, shards.index)]
        if let index = shards.headIndex { others.append((ExportShards.headIndexName, index)) }
        let hasVocabulary = file.leaf.tensor(LeafMetadata.vocabularyTensor) != nil
        if hasVocabulary {
            others.append((ExportShards.vocabularyName, try rows.bytes(of: LeafMetadata.vocabularyTensor)))
        }
        let isPlus = hasVocabulary && file.leaf.tensor(LeafMetadata.dictionaryTensor) == nil
        let json = file.configuration.transformersJSON(weights, isPlus: isPlus)
        return others + [(ExportShards.configurationName, Array(json.utf8))]
    }

    private func write(
        _ tensor: ExportShards.Tensor, _ rows: LeafRows, _ writer: inout ShardWriter,
        _ account: (Int) throws(LeafError) -> Void
    ) throws(LeafError) {
        for source in tensor.sources {
            switch source {
            case .matrix(let name):
                try rows.forEachChunk(ofMatrix: name) { (_, floats) throws(LeafError) in
                    try account(try writer.append(floats))
                }
            case .resident(let name):
                try account(try Self.append(try rows.resident(name), to: &writer))
            case .prompts:
                try account(try Self.append(try rows.promptRows(), to: &writer))
            }
        }
    }

    private static func append(_ floats: [Float], to writer: inout ShardWriter) throws(LeafError) -> Int {
        try floats.withUnsafeBufferPointer { (floats) throws(LeafError) in try writer.append(floats) }
    }
}

/// Writes one safetensors file from its first tensor to its last.
private struct ShardWriter {
    private let file: OutputFile
    private let weights: WeightFormat
    private let kernels: WeightKernels
    private var end: Int
    private var halves: [UInt16] = []

    init(
        _ shard: ExportShards.File, to file: OutputFile, weights: WeightFormat, _ kernels: WeightKernels
    ) throws(LeafError) {
        self.weights = weights
        self.kernels = kernels
        self.file = file
        let header = SafetensorsHeader.bytes(metadata: [("format", "pt")], tensors: shard.entries)
        try file.write(header, at: 0)
        end = header.count
    }

    /// - Returns: the bytes written.
    mutating func append(_ floats: UnsafeBufferPointer<Float>) throws(LeafError) -> Int {
        let begin = end
        if weights == .float32 {
            try file.write(UnsafeRawBufferPointer(floats), at: end)
            end += floats.count * 4
        } else {
            if halves.count < floats.count { halves = [UInt16](repeating: 0, count: floats.count) }
            kernels.narrow(floats.baseAddress!, count: floats.count, to: &halves)
            try halves.withUnsafeBufferPointer { (halves) throws(LeafError) in
                try file.write(
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(halves)[0..<floats.count * 2]), at: end)
            }
            end += floats.count * 2
        }
        return end - begin
    }
}
