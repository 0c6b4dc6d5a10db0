public import CPMAntShape
public import LeafSystem

/// A trained soft prompt: one `[promptLength, dimModel]`, or a whole table with rows for each task.
public struct SoftPromptFile: Sendable {
    /// The path that the caller gave.
    public let path: String
    /// The number of outputs; the last chunk of a matrix counts its padding.
    public let rowCount: Int
    /// Whether it has rows for each task, which then selects them as in the model's own table.
    public let isTable: Bool
    private let tensor: SourceTensor

    /// Finds the soft prompt in a safetensors or torch file, without reading its numbers.
    ///
    /// - Parameter allowance: has to hold the table of tensors.
    /// - Throws: `.badInput` if there is none of the right shape, or several.
    package init(
        path: String, for configuration: ModelConfiguration, _ allowance: inout HeapAllowance
    ) throws(LeafError) {
        self.path = path
        try configuration.checkLimits(in: path)
        var reader = CheckpointReader(
            maximumHeaderBytes: CheckpointReader.smallHeaderBytes, allowance: allowance)
        try reader.read(FilePath.isDirectory(path) ? SourceFolder.weights(in: path, named: []) : path)
        allowance = reader.allowance
        let sizes = [configuration.promptLength, configuration.promptRows].map { [$0, configuration.dimModel] }
        let fitting = reader.tensors.filter { sizes.contains($0.shape) }
        let named = fitting.filter { $0.name == TensorName.promptEmbedding }
        guard let tensor = named.first ?? fitting.first, named.count == 1 || fitting.count == 1 else {
            throw LeafError(
                .badInput,
                "\(path) has \(fitting.isEmpty ? "no tensor" : "several tensors") of the shape "
                    + "\(sizes[0]) or \(sizes[1]) (soft prompt); save it alone, or as \(TensorName.promptEmbedding)")
        }
        self.tensor = tensor
        rowCount = tensor.shape[0]
        isTable = rowCount != configuration.promptLength
    }

    /// The same with as much memory as the table needs.
    public init(path: String, for configuration: ModelConfiguration) throws(LeafError) {
        var allowance = HeapAllowance.unlimited
        try self.init(path: path, for: configuration, &allowance)
    }

    /// Reads `[rowCount, dimModel]`.
    ///
    /// - Throws: `.io`, and `.badInput` for damaged bytes, and for numbers that are not finite or not floats.
    package func floats(_ kernels: WeightKernels) throws(LeafError) -> [Float] {
        if tensor.storage.checksum != nil { try tensor.checkStorage() }
        return try RowReader(tensor).floats(kernels)
    }
}
