package import CPMAntShape
import LeafFormat
package import LeafSystem

/// A CPM-Ant checkpoint of any form: its configuration, and where the numbers of each tensor are.
package struct Checkpoint: Sendable {
    /// The numbers of one matrix.
    package enum MatrixSource: Sendable {
        case floats(SourceTensor)
        /// BMCook's form: int8 values, and a scale for each output.
        case quantized(values: SourceTensor, scales: SourceTensor)

        package var rows: SourceTensor {
            switch self {
            case .floats(let tensor): tensor
            case .quantized(let values, _): values
            }
        }
    }

    package let files: CheckpointFiles
    package let configuration: ModelConfiguration
    /// Every matrix of `ModelShape`, by name.
    package let matrices: [String: MatrixSource]
    /// Norms, position bias, segment and soft-prompt tables, by `TensorName`.
    package let residents: [String: SourceTensor]
    /// A head that is the token table once more.
    package let head: SourceTensor?
    /// What whoever converts it should know of how it was read.
    package let notes: [String]

    /// The number of tensors to read.
    package var tensorCount: Int {
        residents.count
            + matrices.values.reduce(0) {
                if case .quantized = $1 { $0 + 2 } else { $0 + 1 }
            }
    }

    /// Opens a checkpoint and checks that it is complete: no tensor is missing, none is unknown, and all shapes are
    /// right.
    ///
    /// - Parameters:
    ///   - path: a transformers folder, or a `.pt`, `.bin` or `.safetensors` file.
    ///   - configurationPath: the path of the JSON, if it is not beside the weights.
    ///   - masksPath: the path of BMCook's masks, which say which heads a pruned model kept.
    ///   - kernels: those that widen the masks.
    package init(
        path: String, configurationPath: String? = nil, masksPath: String? = nil, kernels: WeightKernels
    ) throws(LeafError) {
        files = try CheckpointFiles(path: path, configurationPath: configurationPath, masksPath: masksPath)
        var assembly = try CheckpointAssembly(files)
        var configuration = try assembly.configuration(kernels)
        var (residents, matrices, head) = try assembly.tensors(of: configuration)
        var notes = files.notes + (assembly.note.map { [$0] } ?? [])
        // The head of a checkpoint that is being consumed was compared when that began.
        if let found = head, case .floats(let table) = matrices[TensorName.tokenTable], !files.isConsumed {
            let comparison = HeadComparison(
                head: found, table: table, rows: configuration.vocabSize, kernels: kernels)
            switch try comparison.outcome() {
            case .same: break
            case .rounded(let difference):
                notes.append(
                    "\(found.name) is the token table, rounded (by up to \(difference)); "
                        + "the token table is used for both")
            case .own(let row):
                guard configuration.isScaleFolded, found.shape[0] == configuration.vocabSize else {
                    throw LeafError(
                        .badInput,
                        "\(found.storage.path): \(found.name) differs from the token table in row \(row), and only "
                            + "transformers 5.23 and later know such heads, of \(configuration.vocabSize) rows")
                }
                configuration.hasOwnHead = true
                matrices[TensorName.head] = .floats(found)
                head = nil
            }
        }
        self.configuration = configuration
        self.residents = residents
        self.matrices = matrices
        self.head = head
        self.notes = notes
    }
}

/// Identifies the tensors of a checkpoint from their names, their shapes and the JSON.
private struct CheckpointAssembly {
    private let path: String
    private let json: CheckpointConfiguration
    private let pruning: PruningRecord?
    private let isFolded: Bool
    /// Tensors by CPM-Live's names, without transformers' prefix.
    private var tensors: [String: SourceTensor]
    private var unused: Set<String>
    /// What was left out of their names.
    let note: String?

    init(_ files: CheckpointFiles) throws(LeafError) {
        path = files.path
        json = files.json
        pruning = files.pruning
        isFolded = json.style == .transformers
        (tensors, note) = try NamePrefix.leftOut(of: files.tensors, path: files.path)
        unused = Set(tensors.keys)
        // Each form has names that the other never has, and the weights of the other scale make no text.
        let ofTransformers =
            tensors[TensorName.head] ?? files.tensors.first { ".\($0.name)".contains(".\(NamePrefix.transformers)") }
        if !isFolded, let ofTransformers {
            throw LeafError(
                .badInput,
                "\(files.path) holds \(ofTransformers.name), which only transformers' form has, "
                    + "but the configuration is CPM-Live's, not transformers'",
                advice: .setting("config", ["FILE"]))
        }
        if isFolded, tensors[TensorName.promptEmbedding] != nil {
            throw LeafError(
                .badInput,
                "\(files.path) holds \(TensorName.promptEmbedding), which only CPM-Live's form has, "
                    + "but the configuration is transformers', not CPM-Live's",
                advice: .setting("config", ["FILE"]))
        }
    }

    // MARK: configuration

    /// The sizes from the JSON; sizes that it lacks follow from the shapes.
    mutating func configuration(_ kernels: WeightKernels) throws(LeafError) -> ModelConfiguration {
        guard let table = tensors[TensorName.tokenTable] else {
            throw LeafError(.badInput, "\(path) has no tensor \(TensorName.tokenTable), so it is no CPM-Ant")
        }
        func size(_ name: String, _ axis: Int) -> Int? {
            guard let shape = (tensors[name] ?? tensors[Self.quantized(name)])?.shape else { return nil }
            return axis < shape.count ? shape[axis] : nil
        }
        func wanted(_ name: String, _ value: Int?) throws(LeafError) -> Int {
            guard let value else { throw LeafError(.badInput, "\(path): the configuration does not say \(name)") }
            return value
        }
        let (layers, masks) = try layers()
        let firstAttention = layers.firstIndex(where: \.hasAttention).map { TensorName.attentionMatrices(layer: $0)[0] }
        let firstFeedForward = layers.firstIndex(where: \.hasFeedForward)
            .map { TensorName.feedForwardMatrices(layer: $0)[0] }
        let numHeads = try wanted("num_heads", json.numHeads ?? size(TensorName.positionBias, 1))
        let inferredHead = numHeads > 0 ? firstAttention.flatMap { size($0, 0) }.map { $0 / numHeads } : nil
        let promptTypes = json.promptTypes ?? 32
        let promptLength = json.promptLength ?? 32
        let ownRows = tensors[TensorName.promptEmbedding] != nil ? size(TensorName.tokenTable, 0) : nil
        var configuration = ModelConfiguration(
            vocabSize: try wanted("vocab_size", json.vocabSize ?? ownRows),
            dimModel: try wanted("dim_model", json.dimModel ?? table.shape.last), numHeads: numHeads,
            dimHead: try wanted("dim_head", json.dimHead ?? inferredHead),
            dimFF: try wanted("dim_ff", json.dimFF ?? firstFeedForward.flatMap { size($0, 0) }), layers: layers,
            positionBiasNumBuckets: json.positionBiasNumBuckets ?? 512,
            positionBiasMaxDistance: json.positionBiasMaxDistance ?? 2048, eps: json.eps ?? 1e-6,
            promptTypes: promptTypes, promptLength: promptLength,
            segmentTypes: json.segmentTypes ?? size(TensorName.segmentEmbedding, 0) ?? 32, isScaleFolded: isFolded)
        if let pruning {
            try pruning.prune(&configuration, base: masks, kernels) { layer in
                size(TensorName.feedForwardMatrices(layer: layer)[0], 0)
            }
        }
        try configuration.checkLimits(in: path)
        return configuration
    }

    /// Finds the half layers that exist, from the tensors and from the JSON, which must agree. Also returns
    /// `mask_modules` of the JSON, which for a model that BMCook pruned describes the model before pruning.
    private mutating func layers() throws(LeafError) -> ([ModelConfiguration.Layer], masks: [[Bool]]) {
        var found: [Int: ModelConfiguration.Layer] = [:]
        for name in tensors.keys {
            let parts = name.split(separator: ".", maxSplits: 4)
            guard parts.count > 4, parts[0] == "encoder", parts[1] == "layers", let index = Int(digits: parts[2].utf8)
            else { continue }
            var layer = found[index] ?? .init(hasAttention: false, hasFeedForward: false)
            if parts[3] == "self_att" { layer.hasAttention = true }
            if parts[3] == "ffn" { layer.hasFeedForward = true }
            found[index] = layer
        }
        let highest = (found.keys.max() ?? -1).adding(1) ?? 0
        let count = json.numLayers ?? json.masks?.count ?? highest
        guard (1...4096).contains(count), highest <= count else {
            throw LeafError(
                .badInput, "\(path) has tensors of layer \(highest - 1), the configuration has \(count.of("layer"))")
        }
        func check(_ masks: [[Bool]]) throws(LeafError) {
            guard masks.count == count, masks.allSatisfy({ $0.count == 2 }) else {
                throw LeafError(.badInput, "\(path): mask_modules does not have one pair for each of \(count) layers")
            }
        }
        let whole = json.masks ?? Array(repeating: [false, false], count: count)
        try check(whole)
        var masks = json.masks
        if let pruning {
            let left = try pruning.masks(of: whole)
            try check(left)
            dropRemains(of: left, from: &found)
            masks = left
        }
        let layers = (0..<count).map { found[$0] ?? .init(hasAttention: false, hasFeedForward: false) }
        if let masks {
            for (index, (mask, layer)) in zip(masks, layers).enumerated() {
                guard mask[0] != layer.hasAttention, mask[1] != layer.hasFeedForward else {
                    let half = mask[0] == layer.hasAttention ? "attention" : "feed-forward"
                    throw LeafError(
                        .badInput,
                        "\(path): mask_modules and the tensors disagree about the \(half) of layer \(index)")
                }
            }
        } else if let index = layers.firstIndex(where: { !$0.hasAttention || !$0.hasFeedForward }) {
            let half = layers[index].hasAttention ? "feed-forward" : "attention"
            throw LeafError(
                .badInput,
                "\(path): layer \(index) has no \(half) and mask_modules does not say that it is removed; "
                    + "get the checkpoint again or give the right configuration", advice: .setting("config", ["FILE"]))
        }
        return (layers, whole)
    }

    /// Drops matrices of a removed half layer. BMCook may write these, but not its norm.
    private mutating func dropRemains(of masks: [[Bool]], from found: inout [Int: ModelConfiguration.Layer]) {
        for (index, mask) in masks.enumerated() {
            var names: [String] = []
            if mask[0], tensors[TensorName.attentionNorm(layer: index)] == nil {
                names += TensorName.attentionMatrices(layer: index)
                found[index]?.hasAttention = false
            }
            if mask[1], tensors[TensorName.feedForwardNorm(layer: index)] == nil {
                names += TensorName.feedForwardMatrices(layer: index)
                found[index]?.hasFeedForward = false
            }
            for name in names {
                tensors[name] = nil
                unused.remove(name)
            }
        }
    }

    // MARK: tensors

    private static func quantized(_ name: String) -> String { name + "_quant" }

    /// Finds every tensor that the configuration needs.
    mutating func tensors(of configuration: ModelConfiguration) throws(LeafError) -> (
        residents: [String: SourceTensor], matrices: [String: Checkpoint.MatrixSource], head: SourceTensor?
    ) {
        let vocabSize = configuration.vocabSize
        let promptRows = configuration.promptRows
        let dimModel = configuration.dimModel
        try splitTokenTable(vocabSize, promptRows)

        var missing: [String] = []
        var residents: [String: SourceTensor] = [:]
        var matrices: [String: Checkpoint.MatrixSource] = [:]
        let shape = ModelShape(configuration, weights: .float32)
        for tensor in shape.file.tensors {
            residents[tensor.name] = try take(tensor.name, tensor.shape, &missing)
        }
        for matrix in shape.matrices {
            let size = [matrix.outputs, matrix.columns]
            if tensors[Self.quantized(matrix.name)] != nil {
                guard let values = try take(Self.quantized(matrix.name), size, &missing),
                    let scales = try take(matrix.name + "_scale", [matrix.outputs], &missing)
                else { continue }
                guard values.type == .i8 else {
                    throw LeafError(.badInput, "\(path): tensor \(values.name) holds \(values.type.rawValue), not int8")
                }
                matrices[matrix.name] = .quantized(values: values, scales: scales)
            } else if let tensor = try take(matrix.name, size, &missing) {
                matrices[matrix.name] = .floats(tensor)
            }
        }
        guard missing.isEmpty else {
            throw LeafError(.badInput, "\(path) lacks \(missing.listed()); get the checkpoint again")
        }
        var head: SourceTensor?
        if let tensor = tensors[TensorName.head] {
            unused.remove(TensorName.head)
            guard tensor.shape == [vocabSize, dimModel] || tensor.shape == [vocabSize + promptRows, dimModel] else {
                throw wrongShape(tensor, [vocabSize, dimModel])
            }
            head = tensor
        }
        guard unused.isEmpty else {
            throw LeafError(
                .badInput, "\(path) has tensors that do not belong to this CPM-Ant: \(unused.sorted().listed())")
        }
        return (residents, matrices, head)
    }

    /// Splits a table whose soft-prompt rows follow the token rows.
    private mutating func splitTokenTable(_ vocabSize: Int, _ promptRows: Int) throws(LeafError) {
        guard tensors[TensorName.promptEmbedding] == nil, let table = tensors[TensorName.tokenTable],
            table.shape.count == 2, table.shape[0] == vocabSize + promptRows
        else { return }
        tensors[TensorName.tokenTable] = try table.rows(0..<vocabSize, name: table.name)
        tensors[TensorName.promptEmbedding] = try table.rows(vocabSize..<vocabSize + promptRows, name: table.name)
        unused.insert(TensorName.promptEmbedding)
    }

    private mutating func take(
        _ name: String, _ shape: [Int], _ missing: inout [String]
    ) throws(LeafError) -> SourceTensor? {
        guard let tensor = tensors[name] else {
            missing.append(name)
            return nil
        }
        unused.remove(name)
        guard tensor.shape == shape else { throw wrongShape(tensor, shape) }
        return tensor
    }

    private func wrongShape(_ tensor: SourceTensor, _ shape: [Int]) -> LeafError {
        LeafError(
            .badInput,
            "\(tensor.storage.path): tensor \(tensor.name) has the shape \(tensor.shape), "
                + "the configuration asks for \(shape)")
    }
}
