import CPMAntShape
package import LeafConversion
public import LeafFormat
public import LeafSystem

/// How to store a model's weights in another form.
public struct RequantizationOptions: Sendable {
    public var weights = WeightFormat.q4
    /// The most memory to use, in bytes; nil for the usual amount, which is under 1 GiB.
    public var memoryBudget: Int?
    public var replacesExisting = false
    /// Whether to continue an interrupted run with the same model and options.
    public var resumes = true
    public var threads = 2
    /// Of the kernels that convert numbers, such as `avx2`; nil for the fastest that this processor has.
    public var instructionSet: String?
    package var calls = WriteCalls()

    public init() {}
}

/// What a text says of a model's inputs.
package struct CalibratedInputs: Sendable {
    package let products: InputProducts
    /// The text in the words of a file's header.
    package let text: String

    package init(_ products: InputProducts, text: String) { (self.products, self.text) = (products, text) }
}

/// The progress of a requantization, in stored bytes of the new matrices.
public struct RequantizationProgress: Sendable, Equatable {
    public let bytesDone: Int
    public let bytesTotal: Int
    /// Bytes that an interrupted run had left; a rate should not count them.
    public let bytesResumed: Int
}

/// The result of a requantization.
public struct RequantizationResult: Sendable, Equatable {
    public let output: String
    /// The number of parameters, each counted once.
    public let parameters: Int
    /// Bytes of the file.
    public let bytes: Int
    public let seconds: Double
    public let weights: WeightFormat
    /// The largest resident size of the process.
    public let peakBytes: Int
    /// Bytes per second of the new matrices that this run wrote.
    public let bytesPerSecond: Double
    /// Blocks that an interrupted run had left.
    public let blocksResumed: Int
    /// What the user should know.
    public let warnings: [String]
}

/// Makes a `.leaf` file of another one, with other weights: fewer bits of int8 or float numbers, or the int8 numbers
/// that a low-bit file stands for.
///
/// It gives the bytes that converting the checkpoint would give, and handles one chunk at a time. An interrupted run
/// continues if the same call is made again.
public struct Requantizer: Sendable {
    private let model: String
    private let output: String
    private let options: RequantizationOptions

    /// Bytes for executable, libraries, stacks and the tokenizer's data.
    private static let programBytes = 64 << 20
    /// The most memory to use if the user gives no limit.
    package static let usualBytes = 768 << 20

    /// - Parameters:
    ///   - model: the path of a model file.
    ///   - output: the path of the new file.
    public init(model: String, output: String, options: RequantizationOptions = RequantizationOptions()) {
        self.model = model
        self.output = output
        self.options = options
    }

    /// - Parameters:
    ///   - isCancelled: called after each chunk; true ends the run with `.cancelled` and a file that can be resumed.
    ///   - progress: called after each chunk, on the calling thread.
    /// - Throws: `.usage` where the weights cannot become what is asked for, `.budget` if the budget is too small,
    ///   `.io` and `.badInput` from reading and writing.
    public func run(
        isCancelled: () -> Bool = { false }, progress: (RequantizationProgress) -> Void = { _ in }
    ) throws(LeafError) -> RequantizationResult {
        try run(calibrate: nil, isCancelled: isCancelled, progress: progress)
    }

    /// - Parameters:
    ///   - calibrate: reads a text with the model, once it is known that it can be requantized; nil to choose codes by
    ///     the weights alone.
    package func run(
        calibrate: (() throws(LeafError) -> CalibratedInputs)?, isCancelled: () -> Bool,
        progress: (RequantizationProgress) -> Void
    ) throws(LeafError) -> RequantizationResult {
        let clock = ContinuousClock()
        let began = clock.now
        try Machine.check(threads: options.threads)
        try OutputTarget.check(output, isNoneOf: [model])
        let file = try CPMAntFile.open(path: model)
        try check(file, isCalibrated: calibrate != nil)
        let calibration = try calibrate?()
        let source = try StoredModel(file.leaf)
        let writer = try writer(file, calibration)
        let (resumed, wasDiscarded) = (writer.completedBlocks, writer.start == .discarded)
        let maker = try TileMaker(
            source, file.shape, try WeightKernels(options.instructionSet), to: writer.layout.shape,
            calibration?.products)
        try writeResidents(file, source, maker, to: writer)
        let production = ChunkProduction(writer, threads: options.threads, scratchBytes: maker.scratchBytes)
        let written = try production.run(
            memoryBytes: try memory(of: production),
            make: { (job, slot) throws(LeafError) in try maker.make(job, into: slot) }, isCancelled: isCancelled,
            progress: {
                progress(
                    RequantizationProgress(
                        bytesDone: $0.bytesDone, bytesTotal: $0.bytesTotal, bytesResumed: $0.bytesResumed))
            })
        let made = try writer.finish()
        let seconds = (clock.now - began) / .seconds(1)
        return RequantizationResult(
            output: output, parameters: file.shape.parameterCount, bytes: made.fileBytes, seconds: seconds,
            weights: options.weights, peakBytes: ProcessMemory.peakBytes,
            bytesPerSecond: Double(written) / max(seconds, 1e-9), blocksResumed: resumed,
            warnings: wasDiscarded
                ? ["an unfinished conversion of another model or weights lay there; it was dropped"] : [])
    }

    private func check(_ file: CPMAntFile, isCalibrated: Bool) throws(LeafError) {
        guard options.weights.isQuantized else {
            throw LeafError(
                .usage,
                "requantizing gives int8, q4 or q3, not \(options.weights.rawValue); export the model, "
                    + "or convert its checkpoint")
        }
        guard !isCalibrated || options.weights != .int8 else {
            throw LeafError(
                .usage, "int8 weights are not chosen by a text; ask for q4 or q3", advice: .without("calibrate"))
        }
        guard file.weights != options.weights else {
            throw LeafError(.usage, "\(model) has \(options.weights.rawValue) weights already; copy the file")
        }
    }

    /// What a budget leaves for slots.
    private func memory(of production: ChunkProduction) throws(LeafError) -> Int {
        let fixed = Self.programBytes + PackedChunk.roomBytes
        guard let budget = options.memoryBudget else { return Self.usualBytes - fixed }
        let needed = fixed + production.slotBytes
        guard budget >= needed else {
            throw LeafError(
                .budget, "this needs \(needed.sizeText), the budget is \(budget.sizeText)",
                advice: .memory(bytes: needed.roundedUp(to: 1 << 20)))
        }
        return budget - fixed
    }

    private func writer(
        _ file: CPMAntFile, _ calibration: CalibratedInputs?
    ) throws(LeafError) -> LeafWriter {
        var configuration = file.configuration
        // Scales of outputs always contain 1/sqrt(fan-in).
        configuration.isScaleFolded = true
        let tokenizer = try file.leaf.readTokenizer()
        var metadata = ["software", "source", "source.container", "source.form", "source.adapters"].compactMap { key in
            file.leaf.metadata[key].map { (key, $0) }
        }
        metadata.append((LeafMetadata.Key.copiedModel, "\(file.leaf.digest) \(file.weights.rawValue)"))
        if let calibration { metadata.append((LeafMetadata.Key.calibration, calibration.text)) }
        var writing = LeafWriter.Options()
        writing.replacesExisting = options.replacesExisting
        writing.resumes = options.resumes
        writing.calls = options.calls
        return try LeafWriter(
            path: output,
            contents: try LeafWriter.Contents(
                configuration: configuration, weights: options.weights, vocabulary: tokenizer?.vocabulary,
                dictionary: tokenizer?.dictionary, metadata: metadata),
            fingerprint: file.leaf.digest, options: writing)
    }

    /// Writes norms, position bias, segment and soft-prompt tables.
    private func writeResidents(
        _ file: CPMAntFile, _ source: StoredModel, _ maker: TileMaker, to writer: LeafWriter
    ) throws(LeafError) {
        let configuration = file.configuration
        for tensor in file.shape.file.tensors where tensor.name != TensorName.promptEmbedding {
            try writer.write(tensor.name, bytes: try source.bytes(of: tensor.name))
        }
        let prompts = try source.bytes(of: TensorName.promptEmbedding)
        guard !file.weights.isQuantized else { return try writer.write(TensorName.promptEmbedding, bytes: prompts) }
        let (values, scales) = try maker.quantize(
            prompts, layout: file.weights.tableLayout, columns: configuration.dimModel,
            configuration.fanInScale(columns: configuration.dimModel))
        try writer.write(TensorName.promptEmbedding, bytes: values.withUnsafeBytes(Array.init))
        try writer.write(TensorName.promptScale, bytes: scales.withUnsafeBytes(Array.init))
    }
}

extension LeafWriter {
    fileprivate func write(_ name: String, bytes: [UInt8]) throws(LeafError) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(LeafError) in
            try write(name, UnsafeRawBufferPointer(bytes))
        }
    }
}

/// Makes the stored tiles of a model's matrices from those of another file of the same model.
///
/// It is immutable, so any thread can make any chunk.
private struct TileMaker: Sendable {
    private let source: StoredModel
    private let scales: [[Float]]
    private let kernels: WeightKernels
    private let matrices: [FileShape.Matrix]
    private let products: InputProducts?
    /// The most columns of a matrix.
    private let widest: Int

    init(
        _ source: StoredModel, _ shape: ModelShape, _ kernels: WeightKernels, to target: FileShape,
        _ products: InputProducts?
    ) throws(LeafError) {
        self.source = source
        self.kernels = kernels
        self.products = products
        matrices = target.matrices
        widest = matrices.map(\.columns).max() ?? 0
        var scales: [[Float]] = []
        for matrix in shape.matrices {
            scales.append(
                matrix.layout.scales == .resident ? try source.floats(of: FileShape.scaleName(of: matrix.name)) : [])
        }
        self.scales = scales
    }

    /// Bytes of a slot's scratch: a chunk of the source, feedback for a matrix's columns, a tile of int8 numbers, and a
    /// row of them and of floats.
    var scratchBytes: Int {
        chunkBytes + feedbackBytes + TileCodec.tileBytes(columns: widest)
            + widest.roundedUp(to: WeightTile.columnAlignment) * 5
    }

    private var chunkBytes: Int { source.slotBytes.roundedUp(to: PageMemory.pageBytes) }
    private var feedbackBytes: Int {
        products == nil ? 0 : widest.units(of: InputProducts.columns) * InputProducts.blockBytes
    }

    /// Makes the stored outputs of a job, and their scales.
    func make(_ job: ChunkJob, into slot: ChunkSlot) throws(LeafError) {
        let matrix = source.leaf.matrices[job.matrix]
        let layout = matrices[job.matrix].layout
        let tileBytes = layout.byteCount(outputs: WeightTile.outputs, columns: matrix.columns)
        let chunk = UnsafeMutableRawBufferPointer(rebasing: slot.scratch.bytes[..<chunkBytes])
        let feedback = try feedback(
            for: job, into: UnsafeMutableRawBufferPointer(rebasing: slot.scratch.bytes[chunkBytes...]))
        let room = Room(slot.scratch.bytes.baseAddress! + chunkBytes + feedbackBytes, columns: widest)
        func target(_ output: Int) -> UnsafeMutableRawPointer {
            slot.bytes.bytes.baseAddress! + (output - job.rows.lowerBound) / WeightTile.outputs * tileBytes
        }
        func store(_ output: Int) {
            kernels.codec.store(room.tile, as: layout, columns: matrix.columns, with: feedback, to: target(output))
        }
        guard !matrix.layout.isQuantized else {
            for (row, scale) in zip(job.rows, scales[job.matrix][job.rows]) {
                slot.rowScales[row - job.rows.lowerBound] = scale
            }
            return try source.forEachUnit(ofMatrix: job.matrix, outputs: job.rows, slot: chunk) { output, tile in
                if matrix.layout == layout {
                    return target(output).copyMemory(from: tile.baseAddress!, byteCount: tileBytes)
                }
                kernels.codec.load(tile.baseAddress!, of: matrix.layout, columns: matrix.columns, to: room.tile)
                store(output)
            }
        }
        // Padded outputs are zeros.
        slot.rowScales[..<job.rows.count].update(repeating: 0)
        let last = min(job.rows.upperBound, matrix.outputs) - 1
        try source.forEachUnit(ofMatrix: job.matrix, outputs: job.rows.lowerBound..<last + 1, slot: chunk) {
            (output, row) throws(LeafError) in
            let place = output % WeightTile.outputs
            if place == 0 { room.clearTile(columns: matrix.columns) }
            slot.rowScales[output - job.rows.lowerBound] = try quantize(
                row.baseAddress!, matrix.layout, matrix.columns, matrix.shape.scale, room)
            WeightTile.put(room.values, of: place, columns: matrix.columns, in: room.tile)
            guard place == WeightTile.outputs - 1 || output == last else { return }
            store(output)
        }
    }

    /// What the inputs of a job's matrix say of its columns; nil where they say nothing or nothing is coded.
    private func feedback(
        for job: ChunkJob, into room: UnsafeMutableRawBufferPointer
    ) throws(LeafError) -> UnsafePointer<Float>? {
        guard let products, matrices[job.matrix].layout != .int8, try products.read(ofMatrix: job.matrix, into: room)
        else { return nil }
        return UnsafePointer(room.baseAddress!.assumingMemoryBound(to: Float.self))
    }

    /// Rows of float numbers as int8 numbers and their scales.
    func quantize(
        _ rows: [UInt8], layout: WeightLayout, columns: Int, _ scale: FanInScale
    ) throws(LeafError) -> (values: [Int8], scales: [Float]) {
        let rowBytes = columns * layout.elementType.byteCount
        let memory = try PageMemory(count: TileCodec.tileBytes(columns: columns) + columns.roundedUp(to: 64) * 5)
        let room = Room(memory.bytes.baseAddress!, columns: columns)
        var values: [Int8] = []
        var scales: [Float] = []
        try rows.withUnsafeBufferPointer { (rows) throws(LeafError) in
            for start in stride(from: 0, to: rows.count, by: rowBytes) {
                scales.append(try quantize(UnsafeRawPointer(rows.baseAddress! + start), layout, columns, scale, room))
                values += UnsafeBufferPointer(start: room.values, count: columns)
            }
        }
        return (values, scales)
    }

    /// Writes one row's int8 numbers to `room.values`.
    ///
    /// - Returns: its scale.
    private func quantize(
        _ row: UnsafeRawPointer, _ layout: WeightLayout, _ columns: Int, _ scale: FanInScale, _ room: Room
    ) throws(LeafError) -> Float {
        if layout == .float16 {
            kernels.widenHalves(row.assumingMemoryBound(to: UInt16.self), count: columns, to: room.floats)
        } else {
            room.floats.update(from: row.assumingMemoryBound(to: Float.self), count: columns)
        }
        guard kernels.largestMagnitude(room.floats, count: columns).isFinite else {
            throw LeafError(
                .badInput, "\(source.leaf.path) holds a number that is not finite; \(source.leaf.remedy)")
        }
        return kernels.quantize(room.floats, count: columns, scale, to: room.values)
    }

    /// A tile of int8 numbers, and a row of them and of floats, in memory of somebody else.
    private struct Room {
        let tile: UnsafeMutablePointer<Int8>
        let values: UnsafeMutablePointer<Int8>
        let floats: UnsafeMutablePointer<Float>

        init(_ memory: UnsafeMutableRawPointer, columns: Int) {
            let padded = columns.roundedUp(to: WeightTile.columnAlignment)
            tile = memory.assumingMemoryBound(to: Int8.self)
            floats = (memory + padded * WeightTile.outputs).assumingMemoryBound(to: Float.self)
            values = (memory + padded * (WeightTile.outputs + 4)).assumingMemoryBound(to: Int8.self)
        }

        func clearTile(columns: Int) { tile.update(repeating: 0, count: TileCodec.tileBytes(columns: columns)) }
    }
}
