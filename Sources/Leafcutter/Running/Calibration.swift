import LeafConversion
import LeafExecutor
import LeafFormat
import LeafGeneration
package import LeafImport
package import LeafSystem

/// Reads a text with a model, so that fewer bits can be chosen for the inputs that its matrices really meet.
///
/// Each window of the text is one sweep under the mask of training. The products of the inputs lie in a file without a
/// name beside the one that is being made; they do not depend on memory, threads or instruction set.
package final class Calibration {
    private let model: Model
    private let products: InputProducts
    private var digest: ChunkDigest
    /// Tokens that were read.
    package private(set) var tokens = 0
    /// Tokens of a window, `<s>` included: the same in any memory, because windows decide the bytes.
    package static let window = 512

    /// - Parameters:
    ///   - path: of the file that is being made.
    ///   - options: their capacity is chosen here.
    /// - Throws: `.budget` with what a window takes, and what opening a model throws.
    package init(_ file: ModelFile, beside path: String, _ options: ModelOptions) throws(LeafError) {
        products = try InputProducts(columns: file.leaf.matrices.map(\.columns), beside: path)
        let instructionSet = if let set = options.instructionSet { set } else { try InstructionSet.wanted() }
        let observer = try ProductObserver(
            products, instructionSet, wanting: file.layerMatrices,
            threads: options.threads ?? Machine.current().cores)
        var options = options
        options.observer = observer
        options.capacity = try Self.request(
            Array(repeating: Tokenizer.bosID, count: Self.window), file
        ).demand(in: file.configuration)
        model = try Model(file, options)
        digest = try ChunkDigest()
    }

    /// Reads one window.
    ///
    /// - Parameter ids: `<s>`, and then at least one token and at most `window - 1`.
    package func read(_ ids: [Int32], cancellation: Cancellation) throws(LeafError) {
        let request = try Self.request(ids, model.file)
        var failure: LeafError?
        try model.answer([request], cancellation: cancellation) { _, answer in
            if case .failure(let error) = answer { failure = error }
        }
        if let failure { throw failure }
        tokens += ids.count
        ids.map(\.littleEndian).withUnsafeBytes { digest.update($0) }
    }

    /// - Throws: `.badInput` where the model's numbers are not finite.
    package func finish() throws(LeafError) -> CalibratedInputs {
        try products.finish()
        return CalibratedInputs(products, text: "\(tokens) tokens \(digest.value.hexDigits)")
    }

    /// One sweep over all tokens, of which the model's answer for the last one is the least to ask for.
    private static func request(_ ids: [Int32], _ file: ModelFile) throws(LeafError) -> ScoreRequest {
        var request = ScoreRequest(
            context: try file.rows(of: .ids(Array(ids[..<1])), GenerationOptions()), target: Array(ids[1...]))
        request.part = request.target.count - 1..<request.target.count
        return request
    }
}

extension ModelFile {
    /// For each matrix whether it belongs to a layer.
    fileprivate var layerMatrices: [Bool] {
        zip(ant.shape.kinds, leaf.blocks).flatMap { kind, block in
            switch kind {
            case .attention, .feedForward: block.matrices.map { _ in true }
            case .head, .tokenTable: block.matrices.map { _ in false }
            }
        }
    }
}

/// Adds the rows of each sweep to the products.
private final class ProductObserver: InputObserver {
    private let products: InputProducts
    private let codec: TileCodec
    private let wanted: [Bool]
    /// A block of products for each thread.
    private let buffers: PageMemory

    init(
        _ products: InputProducts, _ instructionSet: InstructionSet, wanting wanted: [Bool], threads: Int
    ) throws(LeafError) {
        self.products = products
        self.wanted = wanted
        codec = TileCodec(Kernels(instructionSet).floats)
        buffers = try PageMemory(count: threads * InputProducts.blockBytes)
    }

    func byteCount(threads: Int) -> Int { threads * InputProducts.blockBytes }

    func observe(
        _ input: FloatRows, rows: Int, columns: Int, matrices: Range<Int>, thread: Int, of threads: Int
    ) throws(LeafError) {
        guard wanted[matrices.lowerBound], rows > 0 else { return }
        if thread == 0 { products.join(matrices) }
        let buffer = UnsafeMutableRawBufferPointer(
            rebasing: buffers.bytes[thread * InputProducts.blockBytes..<(thread + 1) * InputProducts.blockBytes])
        for block in stride(from: thread, to: products.blockCount(ofMatrix: matrices.lowerBound), by: threads) {
            let first = block * InputProducts.columns
            try products.add(
                input.start + first, stride: input.stride, count: rows,
                columns: min(InputProducts.columns, input.stride - first), toBlock: block,
                ofMatrix: matrices.lowerBound, codec, through: buffer)
        }
    }
}
