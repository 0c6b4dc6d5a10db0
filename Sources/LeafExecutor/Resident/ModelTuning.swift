package import LeafSystem

/// Small products beside a model's matrices (LoRA): `y = Lin(x) + scale * ((x A^T) B^T)`.
///
/// This is a description. Opening a model with it reads the numbers.
///
/// - Source: CPM-Ant reference, section 7.1. The branch is not divided by `sqrt(fan-in)`.
package struct LowRankAdapter: Sendable {
    /// The two factors beside one matrix.
    package struct Factors: Sendable {
        /// Index into the file's matrices.
        package var matrix: Int
        package var rank: Int
        package var scale: Float
        private let loader: @Sendable () throws(LeafError) -> (a: [Float], b: [Float])

        package init(
            matrix: Int, rank: Int, scale: Float,
            load: @escaping @Sendable () throws(LeafError) -> (a: [Float], b: [Float])
        ) {
            self.matrix = matrix
            self.rank = rank
            self.scale = scale
            loader = load
        }

        /// Loads `[rank, columns]` and `[outputs, rank]`.
        package func load() throws(LeafError) -> (a: [Float], b: [Float]) { try loader() }
    }

    package var factors: [Factors]

    package init(factors: [Factors]) {
        self.factors = factors
    }
}

/// A trained soft prompt, whose rows follow those of the model's own table.
package struct SoftPromptRows: Sendable {
    package var count: Int
    private let loader: @Sendable () throws(LeafError) -> [Float]

    package init(count: Int, load: @escaping @Sendable () throws(LeafError) -> [Float]) {
        self.count = count
        loader = load
    }

    /// Loads `[count, dimModel]`, scaled as the sum of the embeddings needs it.
    package func load() throws(LeafError) -> [Float] { try loader() }
}

/// The adapters and soft prompts that are loaded with a model.
package struct ModelTuning: Sendable {
    /// Adapters; a row names one by its index here.
    package var adapters: [LowRankAdapter]
    /// Soft prompts. Their rows have consecutive numbers that follow the model's own table.
    package var softPrompts: [SoftPromptRows]

    package init(adapters: [LowRankAdapter] = [], softPrompts: [SoftPromptRows] = []) {
        self.adapters = adapters
        self.softPrompts = softPrompts
    }
}
