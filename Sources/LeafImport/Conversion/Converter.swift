import CPMAntShape
public import LeafFormat
public import LeafSystem
import LeafTokenizer

/// How to convert a checkpoint.
public struct ConversionOptions: Sendable {
    /// The path of an adapter, and its alpha if it differs from the file's.
    public struct Adapter: Sendable {
        public var path: String
        public var alpha: Float?

        public init(path: String, alpha: Float? = nil) {
            self.path = path
            self.alpha = alpha
        }
    }

    public var weights = WeightFormat.int8
    /// The JSON, if it is not beside the weights.
    public var configurationPath: String?
    /// BMCook's masks, which say which heads a pruned model kept.
    public var masksPath: String?
    /// `vocab.txt`, if it is not beside the weights.
    public var vocabularyPath: String?
    /// The most memory that the conversion may use, in bytes; nil for the usual amount, which is under 1 GiB.
    public var memoryBudget: Int?
    public var replacesExisting = false
    /// Whether to continue an interrupted conversion of the same checkpoint with the same options.
    public var resumes = true
    public var threads = 2
    /// Of the kernels that convert numbers, such as `avx2`; nil for the fastest that this processor has.
    public var instructionSet: String?
    /// Whether to delete the checkpoint piece by piece while it is converted. This cannot be undone.
    public var consumes = false
    /// Adapters to merge into the weights.
    public var adapters: [Adapter] = []
    /// The vocabulary for models of its size that come without one.
    public var bundledVocabulary = Tokenizer.bundledVocabulary
    /// The segmenter's dictionary and tables, stored with any vocabulary except CPM-Ant+'s.
    public var segmenterData = Tokenizer.bundledSegmenterData
    /// Written into the file. It names the release that first made these bytes: the same checkpoint gives the same file
    /// for as long as they stay, and an interrupted run goes on under a later release.
    public var software = "leafcutter 0.1.0"
    /// How much of the result a crash may lose. Making it durable takes a flush of the disk each time.
    package var commitBytes = 128 << 20
    package var calls = WriteCalls()

    public init() {}
}

/// The progress of a conversion, in bytes of the checkpoint's matrices.
public struct ConversionProgress: Sendable, Equatable {
    public let bytesDone: Int
    public let bytesTotal: Int
    public let blocksDone: Int
    public let blocksTotal: Int
    /// Bytes that an interrupted conversion had done already; a rate should not count them.
    public let bytesResumed: Int
}

/// The result of a conversion.
public struct ConversionResult: Sendable, Equatable {
    public let output: String
    /// The number of parameters, each counted once.
    public let parameters: Int
    /// Bytes of the file.
    public let bytes: Int
    public let seconds: Double
    /// The number of tensors read from the checkpoint.
    public let tensors: Int
    public let weights: WeightFormat
    /// The largest resident size of the process.
    public let peakBytes: Int
    /// Bytes per second of the checkpoint's matrices that this run read.
    public let bytesPerSecond: Double
    /// Blocks that an interrupted run had left.
    public let blocksResumed: Int
    /// Whether an earlier run had made the file already and consumed the checkpoint.
    public let wasMadeEarlier: Bool
    /// Warnings for the user, one sentence each.
    public let warnings: [String]
}

/// Makes a `.leaf` file from a CPM-Ant checkpoint.
///
/// It handles one chunk of a matrix at a time, so memory does not grow with the model. After an error, a crash or a
/// cancellation, `OUTPUT.part` and `OUTPUT.journal` remain, and the same conversion continues with them.
public struct Converter: Sendable {
    private let source: String
    private let output: String
    private let options: ConversionOptions

    /// - Parameters:
    ///   - source: a transformers folder, a CPM-Live `.pt`, or a single `.safetensors` or `.bin` file.
    ///   - output: the path of the new file.
    public init(source: String, output: String, options: ConversionOptions = ConversionOptions()) {
        self.source = source
        self.output = output
        self.options = options
    }

    /// Converts.
    ///
    /// - Parameters:
    ///   - isCancelled: called after each chunk; true ends the conversion with `.cancelled` and a file that can be
    ///     resumed.
    ///   - progress: called after each chunk, on the calling thread.
    public func run(
        isCancelled: () -> Bool = { false }, progress: (ConversionProgress) -> Void = { _ in }
    ) throws(LeafError) -> ConversionResult {
        try run(WeightKernels(options.instructionSet), isCancelled: isCancelled, progress: progress)
    }

    /// The same by kernels that are there already.
    package func run(
        _ kernels: WeightKernels, isCancelled: () -> Bool = { false }, progress: (ConversionProgress) -> Void = { _ in }
    ) throws(LeafError) -> ConversionResult {
        let clock = ContinuousClock()
        let began = clock.now
        try Machine.check(threads: options.threads)
        if options.consumes, let file = try madeEarlier(isCancelled) {
            return ConversionResult(
                output: output, parameters: file.shape.parameterCount, bytes: file.leaf.fileBytes,
                seconds: (clock.now - began) / .seconds(1), tensors: 0, weights: file.weights,
                peakBytes: ProcessMemory.peakBytes, bytesPerSecond: 0,
                blocksResumed: file.leaf.blocks.count,
                wasMadeEarlier: true, warnings: [])
        }
        let checkpoint = try Checkpoint(
            path: source, configurationPath: options.configurationPath, masksPath: options.masksPath,
            kernels: kernels)
        var adapters: [AdapterFile] = []
        for adapter in options.adapters {
            adapters.append(
                try AdapterFile(path: adapter.path, alpha: adapter.alpha, for: checkpoint.configuration))
        }
        let vocabularyPath = options.vocabularyPath ?? checkpoint.files.vocabularyPath
        try OutputTarget.check(
            output, isNoneOf: checkpoint.files.paths + adapters.flatMap(\.paths) + (vocabularyPath.map { [$0] } ?? []))
        var warnings = checkpoint.notes + adapters.compactMap(\.note)
        if checkpoint.files.isConsumed {
            guard options.consumes else {
                throw LeafError(
                    .usage, "\(source) is being consumed by an interrupted conversion; run that command again")
            }
        }
        if options.consumes, checkpoint.configuration.hasOwnHead {
            throw LeafError(
                .usage,
                "\(source) has a head of its own, which could not be compared with the token table once one of them is "
                    + "deleted; convert the checkpoint without deleting it")
        }
        let vocabulary = try ConversionVocabulary(checkpoint, options)
        if let warning = vocabulary.warning { warnings.append(warning) }

        let consumption =
            options.consumes ? try Consumption(checkpoint, output: output, calls: options.calls) : nil
        let writer = try writer(for: checkpoint, adapters, vocabulary, freedBytes: consumption?.freedBytes ?? [])
        if writer.start == .discarded {
            warnings.append("an unfinished conversion of another checkpoint or other options lay there; it was dropped")
        }
        let resumed = writer.completedBlocks
        let run = try ConversionRun(checkpoint, writer, options, consumption, adapters: adapters, kernels)
        let (bytesRead, strange) = try run.convert(isCancelled: isCancelled, progress: progress)
        warnings += strange
        let file = try writer.finish { () throws(LeafError) in try consumption?.finish() }

        let seconds = (clock.now - began) / .seconds(1)
        return ConversionResult(
            output: output, parameters: ModelShape(checkpoint.configuration, weights: options.weights).parameterCount,
            bytes: file.fileBytes, seconds: seconds,
            tensors: checkpoint.tensorCount, weights: options.weights, peakBytes: ProcessMemory.peakBytes,
            bytesPerSecond: Double(bytesRead) / max(seconds, 1e-9), blocksResumed: resumed, wasMadeEarlier: false,
            warnings: warnings)
    }

    /// The model file, if a run that consumed the checkpoint was killed after it renamed the file. Does the remaining
    /// steps.
    private func madeEarlier(_ isCancelled: () -> Bool) throws(LeafError) -> CPMAntFile? {
        // What lies beside the file lies where links lead.
        let target = try OutputTarget.file(output, for: "a model file")
        let journal = OutputTarget.Companion.journal.path(of: target)
        if try LeafWriter.isNamed(target) {
            try Consumption.finish(path: source)
            try FilePath.remove(journal)
            return try CPMAntFile.open(path: output)
        }
        // After the very last step, the journal is gone too.
        guard !FilePath.exists(journal), !FilePath.exists(OutputTarget.Companion.part.path(of: target)),
            let file = try? CPMAntFile.open(path: output), file.weights == options.weights,
            try CheckpointFiles.areGone(source, configurationPath: options.configurationPath, into: file.leaf)
        else { return nil }
        try file.leaf.verify(isCancelled: isCancelled)
        return file
    }

    private func writer(
        for checkpoint: Checkpoint, _ adapters: [AdapterFile], _ vocabulary: ConversionVocabulary, freedBytes: [Int]
    ) throws(LeafError) -> LeafWriter {
        var configuration = checkpoint.configuration
        // Scales of outputs always contain 1/sqrt(fan-in).
        if options.weights.isQuantized { configuration.isScaleFolded = true }
        let files = checkpoint.files.identities
        var contents = try LeafWriter.Contents(
            configuration: configuration, weights: options.weights, vocabulary: vocabulary.bytes,
            dictionary: vocabulary.needsSegmenter ? options.segmenterData : nil,
            metadata: [
                ("software", options.software),
                ("source", files.map(\.text).joined(separator: ", ")),
                ("source.container", checkpoint.files.container.rawValue),
                ("source.form", checkpoint.configuration.isScaleFolded ? "transformers" : "cpm-live"),
            ])
        if !adapters.isEmpty {
            contents.metadata.append(("source.adapters", adapters.map(\.description).joined(separator: ", ")))
        }
        var writing = LeafWriter.Options()
        writing.replacesExisting = options.replacesExisting
        writing.resumes = options.resumes
        writing.stamp = (files + adapters.flatMap(\.identities)).map { "\($0.modified)" }.joined(separator: "\n")
        writing.needsConsumedSource = checkpoint.files.isConsumed
        writing.freedBytes = freedBytes
        writing.calls = options.calls
        return try LeafWriter(
            path: output, contents: contents,
            fingerprint: files.map { "\($0.name) \($0.byteCount)" }.joined(separator: "\n"), options: writing)
    }
}
