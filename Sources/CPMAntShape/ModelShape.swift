package import LeafFormat
import LeafSystem

/// The parts of a model with a given configuration: blocks in sweep order, their matrices, and the resident tensors.
package struct ModelShape: Sendable, Equatable {
    package enum BlockKind: Sendable, Equatable {
        case attention(layer: Int)
        case feedForward(layer: Int)
        /// The output projection of a model whose token table is not.
        case head
        case tokenTable
    }

    package let configuration: ModelConfiguration
    /// By block: layer 0 attention, layer 0 feed-forward, ..., a head of its own if there is one, the token table.
    package let kinds: [BlockKind]
    /// The same as a file knows it.
    package let file: FileShape

    /// - Parameters:
    ///   - configuration: within its limits.
    ///   - weights: the layouts of its matrices.
    package init(_ configuration: ModelConfiguration, weights: WeightFormat) {
        self.configuration = configuration
        var kinds: [BlockKind] = []
        for (index, layer) in configuration.layers.enumerated() {
            if layer.hasAttention { kinds.append(.attention(layer: index)) }
            if layer.hasFeedForward { kinds.append(.feedForward(layer: index)) }
        }
        if configuration.hasOwnHead { kinds.append(.head) }
        kinds.append(.tokenTable)
        self.kinds = kinds
        file = FileShape(
            blocks: kinds.map { kind in
                FileShape.Block(name: kind.description, matrices: configuration.matrices(of: kind, weights))
            }, tensors: configuration.smallTensors(weights), configuration: configuration.json,
            version: weights.layout.isCoded ? 4 : configuration.hasOwnHead ? 3 : configuration.isUniform ? 1 : 2)
    }

    package var blocks: [FileShape.Block] { file.blocks }
    package var matrices: [FileShape.Matrix] { file.matrices }
    /// Those of the layers alone.
    package var layerMatrices: [FileShape.Matrix] {
        matrices.filter { ![TensorName.tokenTable, TensorName.head].contains($0.name) }
    }

    /// The number of parameters, each counted once.
    package var parameterCount: Int {
        let small = configuration.smallTensors(.float32).reduce(0) { $0 + $1.shape.reduce(1, *) }
        return matrices.reduce(small) { $0 + $1.outputs * $1.columns }
    }
}

extension ModelConfiguration {
    /// The matrices of a block, in sweep order: queries, keys, values, output; gate, up, down; head; token table.
    fileprivate func matrices(of kind: ModelShape.BlockKind, _ weights: WeightFormat) -> [FileShape.Matrix] {
        func matrix(_ name: String, _ outputs: Int, _ columns: Int) -> FileShape.Matrix {
            FileShape.Matrix(
                name: name, outputs: outputs, columns: columns, layout: weights.layout,
                scale: fanInScale(columns: columns))
        }
        func table(_ name: String, isReadByOutput: Bool = false) -> FileShape.Matrix {
            FileShape.Matrix(
                name: name, outputs: vocabSize, columns: dimModel, layout: weights.tableLayout,
                scale: fanInScale(columns: dimModel), isReadByOutput: isReadByOutput)
        }
        switch kind {
        case .attention(let layer):
            let width = dimAttention(ofLayer: layer)
            let names = TensorName.attentionMatrices(layer: layer)
            return names[0..<3].map { matrix($0, width, dimModel) } + [matrix(names[3], dimModel, width)]
        case .feedForward(let layer):
            let width = dimFF(ofLayer: layer)
            let names = TensorName.feedForwardMatrices(layer: layer)
            return names[0..<2].map { matrix($0, width, dimModel) } + [matrix(names[2], dimModel, width)]
        case .head:
            return [table(TensorName.head)]
        case .tokenTable:
            return [table(TensorName.tokenTable, isReadByOutput: true)]
        }
    }

    /// What is left to divide by `sqrt(fan-in)` of stored numbers. Int8 scales always contain it.
    package func fanInScale(columns: Int) -> FanInScale { isScaleFolded ? .folded : .pending(fanIn: columns) }

    /// The tensors that stay in memory, without the scales of matrices.
    fileprivate func smallTensors(_ weights: WeightFormat) -> [FileShape.Tensor] {
        var tensors: [FileShape.Tensor] = []
        func add(_ name: String, _ shape: [Int], _ type: TensorEntry.ElementType = .f32) {
            tensors.append(FileShape.Tensor(name: name, type: type, shape: shape))
        }
        for (index, layer) in layers.enumerated() {
            if layer.hasAttention { add(TensorName.attentionNorm(layer: index), [dimModel]) }
            if layer.hasFeedForward { add(TensorName.feedForwardNorm(layer: index), [dimModel]) }
        }
        add(TensorName.outputNorm, [dimModel])
        add(TensorName.positionBias, [positionBiasRows, numHeads])
        add(TensorName.segmentEmbedding, [segmentTypes, dimModel])
        add(TensorName.promptEmbedding, [promptRows, dimModel], weights.tableLayout.elementType)
        if weights.tableLayout.scales == .resident { add(TensorName.promptScale, [promptRows]) }
        return tensors
    }
}

extension ModelShape.BlockKind: CustomStringConvertible {
    /// For example `layer 8, feed-forward`.
    package var description: String {
        switch self {
        case .attention(let layer): "layer \(layer), attention"
        case .feedForward(let layer): "layer \(layer), feed-forward"
        case .head: "head"
        case .tokenTable: "token table"
        }
    }
}
