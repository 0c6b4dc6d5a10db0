package import CPMAntShape
package import LeafExecutor
import LeafFormat
package import LeafSystem

/// A CPM-Ant's norms, biases and embeddings of segments and soft prompts, where `ResidentTensors` put them.
struct SmallTensors: @unchecked Sendable {
    /// `[heads, positionBiasRows]`, transposed: the values of one head are contiguous.
    let positionBias: UnsafePointer<Float>
    let outputNorm: UnsafePointer<Float>
    /// `[segmentTypes, D]`, rows padded to 64; the scale is folded in.
    private let segments: UnsafePointer<Float>
    /// `[promptRows, D]` in the table's numbers, rows not padded.
    private let prompts: UnsafeRawPointer
    /// `[promptRows]` beside int8.
    private let promptScales: UnsafePointer<Float>?
    private let layout: WeightLayout
    private let scale: FanInScale
    private let promptRows: Int
    private let dModel: Int
    private let residents: ResidentTensors
    private let path: String

    init(_ file: CPMAntFile, _ residents: ResidentTensors) throws(LeafError) {
        let configuration = file.configuration
        self.residents = residents
        path = file.path
        dModel = configuration.dimModel
        promptRows = configuration.promptRows
        layout = file.weights.tableLayout
        scale = configuration.fanInScale(columns: dModel)
        func required<Value>(_ name: String, _ found: Value?) throws(LeafError) -> Value {
            guard let found else { throw LeafError(.badInput, "\(file.path) lacks the tensor \(name)") }
            return found
        }
        positionBias = try required(TensorName.positionBias, residents.floats(TensorName.positionBias))
        outputNorm = try required(TensorName.outputNorm, residents.floats(TensorName.outputNorm))
        segments = try required(TensorName.segmentEmbedding, residents.floats(TensorName.segmentEmbedding))
        prompts = try required(TensorName.promptEmbedding, residents.bytes(TensorName.promptEmbedding))
        promptScales = residents.floats(TensorName.promptScale)
    }

    /// The weights of a layer's norm, `[D]`.
    func norm(_ name: String) throws(LeafError) -> UnsafePointer<Float> {
        guard let norm = residents.floats(name) else { throw LeafError(.badInput, "\(path) lacks the tensor \(name)") }
        return norm
    }

    /// The embedding of a segment, `[D]`.
    func segment(_ segment: Int32) -> UnsafePointer<Float> { segments + Int(segment) * dModel.roundedUp(to: 64) }

    /// Writes a soft prompt's row plus `addend` to `x`; rows behind the model's own table are those loaded beside it.
    func embed(
        softPrompt row: Int, adding addend: UnsafePointer<Float>, into x: UnsafeMutablePointer<Float>,
        _ executor: Executor
    ) {
        guard row < promptRows else {
            let own = executor.tunedSoftPrompt(row - promptRows)
            for column in 0..<dModel { x[column] = own[column] + addend[column] }
            return
        }
        let source = prompts + row * dModel * layout.elementType.byteCount
        guard let promptScales else {
            return executor.embed(floats: source, layout: layout, scale: scale, adding: addend, into: x)
        }
        let values = source.assumingMemoryBound(to: Int8.self)
        for column in 0..<dModel { x[column] = (Float(values[column]) * promptScales[row]) + addend[column] }
    }
}

extension CPMAntFile {
    /// The tensors that stay in memory, row scales of matrices included.
    package func wantedTensors() throws(LeafError) -> [ResidentTensors.Wanted] {
        var wanted: [ResidentTensors.Wanted] = []
        for tensor in shape.file.tensors {
            let arrangement: ResidentTensors.Arrangement =
                switch tensor.name {
                case TensorName.positionBias:
                    .transposed(rows: configuration.positionBiasRows, width: configuration.numHeads)
                case TensorName.segmentEmbedding: .paddedRows(width: configuration.dimModel)
                default: .plain
                }
            wanted.append(try ResidentTensors.Wanted(tensor.name, arrangement, in: leaf))
        }
        return try ResidentTensors.withScales(wanted, in: leaf)
    }
}
