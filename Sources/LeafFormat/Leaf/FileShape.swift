/// What a model asks of its file: matrices in blocks, in sweep order, and the tensors that stay in memory.
///
/// A model family makes one of its configuration; readers and writers of `.leaf` files know nothing else of a model.
package struct FileShape: Sendable, Equatable {
    /// One weight matrix: `outputs` numbers out, `columns` numbers in.
    package struct Matrix: Sendable, Equatable {
        package let name: String
        package let outputs: Int
        package let columns: Int
        package let layout: WeightLayout
        package let scale: FanInScale
        /// Whether single outputs are read, as a token's embedding is: such a matrix is never packed.
        package let isReadByOutput: Bool

        package init(
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
    package struct Block: Sendable, Equatable {
        /// For messages, such as `layer 8, feed-forward`.
        package let name: String
        package let matrices: [Matrix]

        package init(name: String, matrices: [Matrix]) {
            self.name = name
            self.matrices = matrices
        }
    }

    /// A tensor of the resident region.
    package struct Tensor: Sendable, Equatable {
        package let name: String
        package let type: TensorEntry.ElementType
        package let shape: [Int]

        package init(name: String, type: TensorEntry.ElementType, shape: [Int]) {
            self.name = name
            self.type = type
            self.shape = shape
        }
    }

    /// In sweep order.
    package let blocks: [Block]
    /// In file order, without the scales of `blocks`' matrices, which follow them.
    package let tensors: [Tensor]
    /// The configuration as the header holds it.
    package let configuration: String
    /// The oldest format version that can say this model.
    package let version: Int

    package init(blocks: [Block], tensors: [Tensor], configuration: String, version: Int) {
        self.blocks = blocks
        self.tensors = tensors
        self.configuration = configuration
        self.version = version
    }

    package var matrices: [Matrix] { blocks.flatMap(\.matrices) }

    /// Every tensor of the resident region, in file order.
    package var residentTensors: [Tensor] {
        tensors
            + matrices.filter { $0.layout.scales == .resident }.map {
                Tensor(name: Self.scaleName(of: $0.name), type: .f32, shape: [$0.layout.storedOutputs($0.outputs)])
            }
    }

    /// The name of the tensor with a matrix's resident scales.
    package static func scaleName(of matrix: String) -> String {
        matrix.hasSuffix(".weight") ? matrix.dropLast(".weight".count) + ".scale" : matrix + ".scale"
    }
}
