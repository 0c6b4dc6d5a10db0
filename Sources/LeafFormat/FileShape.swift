/// What a model asks of its file: matrices in blocks, in sweep order, and the tensors that stay in memory.
///
/// A model family makes one of its configuration; readers and writers of `.leaf` files know nothing else of a model.
public struct FileShape: Sendable, Equatable {
    /// One weight matrix: `outputs` numbers out, `columns` numbers in.
    public struct Matrix: Sendable, Equatable {
        public let name: String
        public let outputs: Int
        public let columns: Int
        public let layout: WeightLayout
        public let scale: FanInScale
        /// Whether single outputs are read, as a token's embedding is: such a matrix is never packed.
        public let isReadByOutput: Bool

        public init(
            name: String, outputs: Int, columns: Int, layout: WeightLayout, scale: FanInScale = .folded,
            isReadByOutput: Bool = false
        ) {
            self.name = name
            self.outputs = outputs
            self.columns = columns
            self.layout = layout
            self.scale = scale
            self.isReadByOutput = isReadByOutput
        }
    }

    /// What a sweep applies at once.
    public struct Block: Sendable, Equatable {
        /// For messages, such as `layer 8, feed-forward`.
        public let name: String
        public let matrices: [Matrix]

        public init(name: String, matrices: [Matrix]) {
            self.name = name
            self.matrices = matrices
        }
    }

    /// A tensor of the resident region.
    public struct Tensor: Sendable, Equatable {
        public let name: String
        public let type: TensorEntry.ElementType
        public let shape: [Int]

        public init(name: String, type: TensorEntry.ElementType, shape: [Int]) {
            self.name = name
            self.type = type
            self.shape = shape
        }
    }

    /// In sweep order.
    public let blocks: [Block]
    /// In file order, without the scales of `blocks`' matrices, which follow them.
    public let tensors: [Tensor]
    /// The configuration as the header holds it.
    public let configuration: String
    /// The oldest format version that can say this model.
    public let version: Int

    public init(blocks: [Block], tensors: [Tensor], configuration: String, version: Int) {
        self.blocks = blocks
        self.tensors = tensors
        self.configuration = configuration
        self.version = version
    }

    public var matrices: [Matrix] { blocks.flatMap(\.matrices) }

    /// Every tensor of the resident region, in file order.
    public var residentTensors: [Tensor] {
        tensors
            + matrices.filter { $0.layout.scales == .resident }.map {
                Tensor(name: Self.scaleName(of: $0.name), type: .f32, shape: [$0.layout.storedOutputs($0.outputs)])
            }
    }

    /// The name of the tensor with a matrix's resident scales.
    public static func scaleName(of matrix: String) -> String {
        matrix.hasSuffix(".weight") ? matrix.dropLast(".weight".count) + ".scale" : matrix + ".scale"
    }
}
