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
            bytesPerSecond: Double(bytesWritten) / max(seconds, 1e-9), blocksResumed: resumed, warnings: warnings)
    }

    private func enlargement() throws(LeafError) -> Enlargement? {
        guard let path = options.smallModelPath else { return nil }
        try OutputTarget.check(output, isNoneOf: [path])
        guard options.weights == .int8 else {
            throw LeafError(
                .usage,
                "only int8 sums are exact in any order, so a model around another has int8 weights",
                advice: .without("weights"))
        }
        return try Enlargement(SmallModel(path: path), in: configuration)
    }

    private func writer(
        _ enlargement: Enlargement?, _ warnings: inout [String]
    ) throws(LeafError) -> (LeafWriter, ModelShape) {
        var configuration = enlargement?.configuration ?? configuration
        if options.weights == .int8 { configuration.isScaleFolded = true }
        var source = "synthesized: \(name), seed \(options.seed)"
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

    /// Slots besides one for each thread, for chunks that are made while the disk is slow.
    private static let slotsAhead = 4

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

        let jobs = Self.jobs(shape.file)
        let total = jobs.joined().reduce(0) { $0 + $1.byteCount }
        let resumed = jobs[..<writer.completedBlocks].joined().reduce(0) { $0 + $1.byteCount }
        var done = resumed
        var slots: [ChunkSlot] = []
        for _ in 0..<options.threads + Self.slotsAhead {
            slots.append(try ChunkSlot(rows: jobs.joined().map(\.rows.count).max() ?? 0))
        }
        let left = Array(jobs[writer.completedBlocks...].joined())
        try OrderedPipeline(slots: slots, threads: options.threads).run(
            left.count,
            make: { (index, slot) throws(LeafError) in
                try source.make(left[index], into: slot)
                return slot
            },
            use: { (index, slot) throws(LeafError) in
                let job = left[index]
                if job.rows.lowerBound == 0 { writer.beginMatrix() }
                try writer.append(
                    chunk: UnsafeRawBufferPointer(rebasing: slot.bytes.bytes[..<job.byteCount]),
                    outputCount: job.rows.count)
                if options.weights == .int8 {
                    try writer.write(
                        FileShape.scaleName(of: shape.matrices[job.matrix].name),
                        UnsafeRawBufferPointer(UnsafeMutableBufferPointer(rebasing: slot.rowScales[..<job.rows.count])),
                        at: job.rows.lowerBound * MemoryLayout<Float>.size)
                }
                if job.isLastOfBlock { try writer.endBlock(sourceDigest: 0) }
                done += job.byteCount
                progress(SynthesisProgress(bytesDone: done, bytesTotal: total, bytesResumed: resumed))
                if isCancelled() {
                    throw LeafError(.cancelled, "stopped; run the same command again, it goes on from here")
                }
            })
        return done - resumed
    }

    /// The chunks of each block, in the order of the file.
    private static func jobs(_ shape: FileShape) -> [[ChunkJob]] {
        var matrix = 0
        return shape.blocks.map { block in
            var jobs: [ChunkJob] = []
            for shape in block.matrices {
                let geometry = ChunkGeometry(shape)
                for chunk in 0..<geometry.chunkCount {
                    let rows = geometry.outputs(ofChunk: chunk)
                    jobs.append(
                        ChunkJob(
                            matrix: matrix, rows: rows, byteCount: geometry.bytes(outputs: rows.count),
                            isLastOfBlock: chunk == geometry.chunkCount - 1 && shape == block.matrices.last))
                }
                matrix += 1
            }
            return jobs
        }
    }
}
