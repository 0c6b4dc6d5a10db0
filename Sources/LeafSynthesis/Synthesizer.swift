public import CPMAntShape
import LeafConversion
public import LeafFormat
public import LeafSystem
import LeafTokenizer

/// How to make a model without a checkpoint.
public struct SynthesisOptions: Sendable {
    public var weights = WeightFormat.int8
    /// The same seed gives the same bytes, whatever the number of threads.
    public var seed: UInt64 = 0
    /// The path of a small int8 model. The large model will compute exactly the same logits.
    public var smallModelPath: String?
    public var replacesExisting = false
    public var threads = 2
    /// Written into the file. It names the release that first made these bytes: the same checkpoint gives the same file
    /// for as long as they stay, and an interrupted run goes on under a later release.
    public var software = "leafcutter 0.1.0"
    package var calls = WriteCalls()

    public init() {}
}

/// The progress of a synthesis, in stored bytes of the matrices.
public struct SynthesisProgress: Sendable, Equatable {
    public let bytesDone: Int
    public let bytesTotal: Int
    /// Bytes that an interrupted run had left; a rate should not count them.
    public let bytesResumed: Int
}

/// The result of a synthesis.
public struct SynthesisResult: Sendable, Equatable {
    public let output: String
    /// The number of parameters, each counted once.
    public let parameters: Int
    /// Bytes of the file.
    public let bytes: Int
    public let seconds: Double
    /// The largest resident size of the process.
    public let peakBytes: Int
    /// Bytes per second of the matrices that this run wrote.
    public let bytesPerSecond: Double
    /// Blocks that an interrupted run had left.
    public let blocksResumed: Int
    /// Warnings for the user, one sentence each.
    public let warnings: [String]
}

/// Makes a `.leaf` file of any shape without a checkpoint: random weights with a trained model's statistics, or a small
/// model enlarged to a large one's size.
///
/// All chunks are stored without packing, because such a file is made for measuring how it is read. An interrupted run
/// continues if the same call is made again.
public struct Synthesizer: Sendable {
    private let name: String
    private let configuration: ModelConfiguration
    private let output: String
    private let options: SynthesisOptions

    /// - Parameters:
    ///   - preset: the shape.
    ///   - output: the path of the new file.
    public init(_ preset: ModelPreset, output: String, options: SynthesisOptions = SynthesisOptions()) {
        self.init(name: preset.rawValue, preset.configuration, output: output, options: options)
    }

    /// - Parameters:
    ///   - name: the name that the file has for its source.
    ///   - configuration: the shape. With a small model, heads take that model's size, and there are as many tokens as
    ///     it has.
    public init(
        name: String, _ configuration: ModelConfiguration, output: String, options: SynthesisOptions
    ) {
        self.name = name
        self.configuration = configuration
        self.output = output
        self.options = options
    }

    /// - Parameters:
    ///   - isCancelled: called after each chunk; true ends the run with `.cancelled` and a file that can be resumed.
    ///   - progress: called after each chunk, on the calling thread.
    /// - Throws: `.usage` if the small model does not fit the shape, `.io` and `.badInput` from reading and writing.
    public func run(
        isCancelled: () -> Bool = { false }, progress: (SynthesisProgress) -> Void = { _ in }
    ) throws(LeafError) -> SynthesisResult {
        let clock = ContinuousClock()
        let began = clock.now
        try Machine.check(threads: options.threads)
        try configuration.checkLimits(in: name)
        let enlargement = try enlargement()
        var warnings: [String] = []
        let (writer, shape) = try writer(enlargement, &warnings)
        if writer.start == .discarded {
            warnings.append("an unfinished file of another kind lay there; it was dropped")
        }
        let resumed = writer.completedBlocks
        let bytesWritten = try write(to: writer, shape, enlargement, isCancelled, progress)
        let file = try writer.finish()

        let seconds = (clock.now - began) / .seconds(1)
        return SynthesisResult(
            output: output, parameters: shape.parameterCount, bytes: file.fileBytes, seconds: seconds,
            peakBytes: ProcessMemory.peakBytes,
            bytesPerSecond: Double(bytesWritten) / max(seconds, 1e-9), blocksResumed: resumed, warnings: warnings)
    }

    private func enlargement() throws(LeafError) -> Enlargement? {
        guard let path = options.smallModelPath else { return nil }
        try OutputTarget.check(output, isNoneOf: [path])
        let small = try SmallModel(path: path)
        guard options.weights == small.file.weights || !small.file.weights.isQuantized else {
            throw LeafError(
                .usage,
                "\(path) has \(small.file.weights.rawValue) weights, and so has a model that computes the same",
                advice: .setting("weights", [small.file.weights.rawValue]))
        }
        return try Enlargement(small, in: configuration)
    }

    private func writer(
        _ enlargement: Enlargement?, _ warnings: inout [String]
    ) throws(LeafError) -> (LeafWriter, ModelShape) {
        var configuration = enlargement?.configuration ?? configuration
        if options.weights.isQuantized { configuration.isScaleFolded = true }
        var source = LeafMetadata.synthesized + "\(name), seed \(options.seed)"
        var vocabulary = Self.vocabulary(tokens: configuration.vocabSize)
        var dictionary = vocabulary == nil ? nil : Tokenizer.bundledSegmenterData
        if let small = enlargement?.small {
            source += ", around \(FilePath.name(of: small.file.path)) (\(small.file.leaf.fileBytes) bytes)"
            let tokenizer = try small.file.leaf.readTokenizer()
            vocabulary = tokenizer?.vocabulary
            dictionary = tokenizer?.dictionary
        }
        if vocabulary == nil {
            warnings.append("there is no vocabulary of \(configuration.vocabSize) tokens, so the model takes ids only")
        }
        var writing = LeafWriter.Options()
        writing.replacesExisting = options.replacesExisting
        writing.packsChunks = false
        writing.calls = options.calls
        let writer = try LeafWriter(
            path: output,
            contents: try LeafWriter.Contents(
                configuration: configuration, weights: options.weights, vocabulary: vocabulary,
                dictionary: dictionary,
                metadata: [("software", options.software), ("source", source)]),
            fingerprint: enlargement?.small.digest ?? "", options: writing)
        return (writer, ModelShape(configuration, weights: options.weights))
    }

    /// The first tokens of CPM-Ant's vocabulary; nil if it has fewer.
    private static func vocabulary(tokens: Int) -> [UInt8]? {
        let lines = Tokenizer.bundledVocabulary.split(separator: UInt8(ascii: "\n"))
        return lines.count >= tokens ? Array(lines[..<tokens].joined(separator: [UInt8(ascii: "\n")])) : nil
    }

    /// - Returns: the bytes of matrices that were written.
    private func write(
        to writer: LeafWriter, _ shape: ModelShape, _ enlargement: Enlargement?, _ isCancelled: () -> Bool,
        _ progress: (SynthesisProgress) -> Void
    ) throws(LeafError) -> Int {
        let normal = NormalDistribution()
        let source = MatrixSource(
            shape, weights: options.weights, seed: options.seed, normal: normal, enlargement: enlargement)
        try ResidentSource(
            shape, weights: options.weights, seed: options.seed, normal: normal, matrices: source,
            enlargement: enlargement
        ).write(to: writer)

        let production = ChunkProduction(writer, threads: options.threads, scratchBytes: source.scratchBytes)
        return try production.run(
            memoryBytes: production.usualBytes,
            make: { (job, slot) throws(LeafError) in try source.make(job, into: slot) },
            isCancelled: isCancelled,
            progress: {
                progress(
                    SynthesisProgress(
                        bytesDone: $0.bytesDone, bytesTotal: $0.bytesTotal, bytesResumed: $0.bytesResumed))
            })
    }
}
