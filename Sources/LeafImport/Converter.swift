import CLeafKernels
import Dispatch
public import LeafFormat
import LeafTokenizer
import Synchronization

/// What to make of a checkpoint.
public struct ConversionOptions: Sendable {
    public var weights = WeightFormat.int8
    /// The JSON, if it is not beside the weights.
    public var configurationPath: String?
    /// `vocab.txt`, if it is not beside the weights.
    public var vocabularyPath: String?
    /// The most memory that the conversion may take, in bytes; nil for as much as it wants, which is under 1 GiB.
    public var memoryBudget: Int?
    public var replacesExisting = false
    /// Go on with an interrupted conversion of the same checkpoint with the same options.
    public var resumes = true
    public var threads = 2
    /// The vocabulary for models of its size that bring none.
    public var bundledVocabulary = Tokenizer.bundledVocabulary
    /// The segmenter's dictionary and tables, put beside any vocabulary.
    public var segmenterData = Tokenizer.bundledSegmenterData
    /// Written into the file.
    public var software = "leafcutter 0.1.0"
    package var calls = WriteCalls()

    public init() {}
}

/// How far a conversion is. Bytes are those of the checkpoint's matrices.
public struct ConversionProgress: Sendable, Equatable {
    public let bytesDone: Int
    public let bytesTotal: Int
    public let blocksDone: Int
    public let blocksTotal: Int
    /// What an interrupted conversion had done already; a rate should leave it out.
    public let bytesResumed: Int
}

/// What came out of a conversion.
public struct ConversionResult: Sendable, Equatable {
    public let output: String
    /// Weights, each counted once.
    public let parameters: Int
    /// Of the file.
    public let bytes: Int
    public let seconds: Double
    /// Read from the checkpoint.
    public let tensors: Int
    public let weights: WeightFormat
    /// The most memory that the process has had.
    public let peakBytes: Int
    /// Of the checkpoint's matrices, those that this run read.
    public let bytesPerSecond: Double
    /// Blocks that an interrupted run had left.
    public let blocksResumed: Int
    /// What the user should know, a sentence each.
    public let warnings: [String]
}

/// Makes a `.leaf` file of a CPM-Ant checkpoint.
///
/// Matrices go through a chunk at a time, so that memory does not grow with the model. An error, a crash or a cancellation
/// leaves `OUTPUT.part` and `OUTPUT.journal`, with which the same conversion goes on.
public struct Converter: Sendable {
    private let source: String
    private let output: String
    private let options: ConversionOptions

    /// - Parameters:
    ///   - source: a transformers folder, a CPM-Live `.pt`, or a single `.safetensors` or `.bin` file.
    ///   - output: the file to make.
    public init(source: String, output: String, options: ConversionOptions = ConversionOptions()) {
        self.source = source
        self.output = output
        self.options = options
    }

    /// Converts.
    ///
    /// - Parameters:
    ///   - isCancelled: asked after each chunk; true ends the conversion with `.cancelled` and a resumable file.
    ///   - progress: called after each chunk, on the calling thread.
    public func run(
        isCancelled: () -> Bool = { false }, progress: (ConversionProgress) -> Void = { _ in }
    ) throws(LeafError) -> ConversionResult {
        let clock = ContinuousClock()
        let began = clock.now
        let checkpoint = try Checkpoint(path: source, configurationPath: options.configurationPath)
        var warnings: [String] = []
        if let warning = try HeadComparison(checkpoint).warning() { warnings.append(warning) }
        let vocabulary = try ConversionVocabulary(checkpoint, options)
        if let warning = vocabulary.warning { warnings.append(warning) }

        let writer = try writer(for: checkpoint, vocabulary)
        if writer.start == .discarded {
            warnings.append("an unfinished conversion of another checkpoint or other options lay there; it was dropped")
        }
        let resumed = writer.completedBlocks
        let run = try ConversionRun(checkpoint, writer, options)
        let bytesRead = try run.convert(isCancelled: isCancelled, progress: progress)
        let file = try writer.finish()

        let seconds = (clock.now - began) / .seconds(1)
        return ConversionResult(
            output: output, parameters: writer.layout.shape.parameterCount, bytes: file.fileBytes, seconds: seconds,
            tensors: checkpoint.tensorCount, weights: options.weights, peakBytes: ProcessMemory.peakBytes,
            bytesPerSecond: Double(bytesRead) / max(seconds, 1e-9), blocksResumed: resumed, warnings: warnings)
    }

    private func writer(
        for checkpoint: Checkpoint, _ vocabulary: ConversionVocabulary
    ) throws(LeafError) -> LeafWriter {
        var configuration = checkpoint.configuration
        // The scales of int8 rows always contain 1/sqrt(fan-in).
        if options.weights == .int8 { configuration.isScaleFolded = true }
        let files = checkpoint.files.identities
        let contents = LeafWriter.Contents(
            configuration: configuration, weights: options.weights, vocabulary: vocabulary.bytes,
            dictionary: vocabulary.bytes == nil ? nil : options.segmenterData,
            metadata: [
                ("software", options.software),
                ("source", files.map { "\($0.name) (\($0.byteCount) bytes)" }.joined(separator: ", ")),
                ("source.container", checkpoint.files.container.rawValue),
                ("source.form", checkpoint.configuration.isScaleFolded ? "transformers" : "cpm-live"),
            ])
        var writing = LeafWriter.Options()
        writing.replacesExisting = options.replacesExisting
        writing.resumes = options.resumes
        writing.calls = options.calls
        return try LeafWriter(
            path: output, contents: contents,
            fingerprint: files.map { "\($0.name) \($0.byteCount) \($0.modified)" }.joined(separator: "\n"),
            options: writing)
    }
}

/// One conversion under way.
private struct ConversionRun {
    private let checkpoint: Checkpoint
    private let writer: LeafWriter
    private let options: ConversionOptions
    private let matrices: [ModelShape.MatrixShape]
    private let encoded: AlignedBuffer
    private let scales: AlignedBuffer
    private let readAhead: ReadAhead
    private let totalBytes: Int

    init(_ checkpoint: Checkpoint, _ writer: LeafWriter, _ options: ConversionOptions) throws(LeafError) {
        self.checkpoint = checkpoint
        self.writer = writer
        self.options = options
        matrices = writer.layout.shape.matrices
        let pieces = matrices.map { matrix in
            let geometry = ChunkGeometry(rows: matrix.rows, columns: matrix.columns, weights: options.weights)
            return (rows: geometry.chunkRows, bytes: geometry.chunkRows * Self.rowBytes(matrix, checkpoint))
        }
        let pieceBytes = pieces.map(\.bytes).max()!
        let promptRows = checkpoint.configuration.promptRows
        let promptBytes = promptRows * checkpoint.configuration.dimModel
        totalBytes = matrices.reduce(0) { $0 + $1.rows * Self.rowBytes($1, checkpoint) }

        // Two pieces, the widened prompt table twice, a chunk and its packed form, and the program itself.
        let needed =
            pieceBytes * 2 + promptBytes * 8 + ChunkGeometry.maximumBytes * 2 + Self.programBytes
            + Self.gatheredBytes(checkpoint)
        if let budget = options.memoryBudget, budget < needed {
            throw LeafError(
                .budget, "this conversion needs \(needed.sizeText), --memory gives \(budget.sizeText); give more")
        }
        readAhead = try ReadAhead(pieceBytes: pieceBytes)
        encoded = try AlignedBuffer(count: max(ChunkGeometry.maximumBytes, promptBytes * options.weights.elementBytes))
        scales = try AlignedBuffer(count: max(pieces.map(\.rows).max()!, promptRows).roundedUp(to: 16) * 4)
    }

    /// Executable, libraries, stacks, the tokenizer's data and the tables of a large checkpoint.
    private static let programBytes = 64 << 20

    private static func rowBytes(_ matrix: ModelShape.MatrixShape, _ checkpoint: Checkpoint) -> Int {
        matrix.columns * (checkpoint.matrices[matrix.name]?.rows.type.byteCount ?? 4)
    }

    /// Of the largest tensor that is not row-major, which is read whole.
    private static func gatheredBytes(_ checkpoint: Checkpoint) -> Int {
        let gathered = checkpoint.matrices.values.map(\.rows).filter { $0.strides.last != 1 }
        return gathered.map { $0.shape.reduce($0.type.byteCount, *) }.max() ?? 0
    }

    /// - Returns: bytes of matrices that were read.
    func convert(
        isCancelled: () -> Bool, progress: (ConversionProgress) -> Void
    ) throws(LeafError) -> Int {
        try writeResidents()
        let blocks = writer.layout.shape.blocks
        let resumed = blocks[0..<writer.completedBlocks].flatMap(\.matrices).reduce(0) {
            $0 + $1.rows * Self.rowBytes($1, checkpoint)
        }
        var done = resumed
        while writer.completedBlocks < blocks.count {
            var digest = try ChunkDigest()
            for matrix in blocks[writer.completedBlocks].matrices {
                writer.beginMatrix()
                try convert(matrix) { (piece) throws(LeafError) in
                    digest.update(piece)
                    done += piece.count
                    progress(
                        ConversionProgress(
                            bytesDone: done, bytesTotal: totalBytes, blocksDone: writer.completedBlocks,
                            blocksTotal: blocks.count, bytesResumed: resumed))
                    if isCancelled() {
                        throw LeafError(
                            .cancelled, "the conversion was stopped; run the same command again, it goes on from here")
                    }
                }
            }
            try writer.endBlock(sourceDigest: digest.value)
        }
        return done - resumed
    }

    private func convert(
        _ matrix: ModelShape.MatrixShape, _ account: (UnsafeRawBufferPointer) throws(LeafError) -> Void
    ) throws(LeafError) {
        let source = checkpoint.matrices[matrix.name]!
        let geometry = ChunkGeometry(rows: matrix.rows, columns: matrix.columns, weights: options.weights)
        let encoder = try encoder(for: source, columns: matrix.columns)
        let reader = try RowReader(source.rows)
        let pieces = (0..<geometry.chunkCount).map { index in
            ReadAhead.Piece(reader: reader, rows: geometry.rows(ofChunk: index).clamped(to: 0..<matrix.rows))
        }
        try readAhead.run(pieces) { (piece, bytes) throws(LeafError) in
            let storedRows = piece.rows.count.roundedUp(to: geometry.unitRows)
            let chunk = UnsafeMutableRawBufferPointer(rebasing: encoded.bytes[0..<geometry.bytes(rows: storedRows)])
            // Rows and columns of padding are zeros.
            if storedRows > piece.rows.count { chunk.initializeMemory(as: UInt8.self, repeating: 0) }
            let scaleRows = scales.bytes.assumingMemoryBound(to: Float.self)
            scaleRows[piece.rows.count..<storedRows].update(repeating: 0)
            try encoder.encode(
                bytes.baseAddress!, firstRow: piece.rows.lowerBound, rowCount: piece.rows.count,
                into: chunk.baseAddress!, scales: scaleRows.baseAddress!)
            try writer.append(chunk: UnsafeRawBufferPointer(chunk), rowCount: storedRows)
            if options.weights == .int8 {
                try writer.write(
                    TensorName.scale(of: matrix.name),
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(scales.bytes)[0..<storedRows * 4]),
                    at: piece.rows.lowerBound * 4)
            }
            try account(bytes)
        }
    }

    private func encoder(for source: Checkpoint.MatrixSource, columns: Int) throws(LeafError) -> ChunkEncoder {
        try ChunkEncoder(
            source, columns: columns, weights: options.weights,
            isScaleFolded: options.weights != .int8 || checkpoint.configuration.isScaleFolded,
            threads: max(1, options.threads))
    }

    /// Norms, position bias, segment and prompt embedding.
    private func writeResidents() throws(LeafError) {
        for (name, tensor) in checkpoint.residents where name != TensorName.promptEmbedding {
            var floats = try RowReader(tensor).floats()
            if name == TensorName.segmentEmbedding, !checkpoint.configuration.isScaleFolded {
                let divisor = Double(checkpoint.configuration.dimModel).squareRoot()
                for index in floats.indices { floats[index] = Float(Double(floats[index]) / divisor) }
            }
            try floats.withUnsafeBufferPointer { (floats) throws(LeafError) in
                try writer.write(name, UnsafeRawBufferPointer(floats))
            }
        }
        let prompt = checkpoint.residents[TensorName.promptEmbedding]!
        let reader = try RowReader(prompt)
        let rows = try AlignedBuffer(count: reader.rows * reader.rowBytes)
        try reader.read(rows: 0..<reader.rows, into: rows.bytes)
        let scaleRows = scales.bytes.assumingMemoryBound(to: Float.self)
        try encoder(for: .floats(prompt), columns: reader.columns).encode(
            rows.bytes.baseAddress!, firstRow: 0, rowCount: reader.rows, into: encoded.bytes.baseAddress!,
            scales: scaleRows.baseAddress!, isTiled: false)
        let bytes = reader.rows * reader.columns * options.weights.elementBytes
        try writer.write(
            TensorName.promptEmbedding,
            UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(encoded.bytes)[0..<bytes]))
        if options.weights == .int8 {
            try writer.write(
                TensorName.promptScale,
                UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(scales.bytes)[0..<reader.rows * 4]))
        }
    }
}
