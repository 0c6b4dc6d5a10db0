import LeafSystem

/// How the weights of a model file are stored, as a user asks for it: the layout of most of its matrices.
public enum WeightFormat: String, Sendable, Codable, CaseIterable {
    /// Symmetric, one float32 scale an output.
    case int8
    case float16
    case float32

    /// The layout of the layers' matrices.
    package var layout: WeightLayout {
        switch self {
        case .int8: .int8
        case .float16: .float16
        case .float32: .float32
        }
    }

    /// Bytes of one stored number.
    public var elementBytes: Int { layout.elementBytes }
}

/// How one matrix `[outputs, columns]` lies in its chunks: the one place that knows where a number is stored.
package enum WeightLayout: Sendable, Equatable {
    /// Tiles of 16 outputs for the kernels, `[outputs/16, columns/4, 16, 4]`: outputs padded to a multiple of 16 and
    /// columns to a multiple of 64, with zeros. One float32 scale an output, a tensor of its own that stays in memory.
    case int8
    /// Plain `[outputs, columns]`.
    case float16
    case float32

    /// Where the factors are that make numbers of codes.
    package enum Scales: Sendable, Equatable {
        /// The stored numbers are the weights.
        case none
        /// One float32 an output, stored apart from the chunks and kept in memory.
        case resident
    }

    package var scales: Scales { self == .int8 ? .resident : .none }

    /// Whether rows are quantized before they meet the matrix.
    package var isQuantized: Bool { self == .int8 }

    /// Outputs that are never parted: a tile or a row.
    package var unitOutputs: Int { self == .int8 ? WeightTile.outputs : 1 }

    /// Bytes of one stored number.
    package var elementBytes: Int {
        switch self {
        case .int8: 1
        case .float16: 2
        case .float32: 4
        }
    }

    package var elementType: TensorEntry.ElementType {
        switch self {
        case .int8: .i8
        case .float16: .f16
        case .float32: .f32
        }
    }

    /// Outputs as they are stored, padding included.
    package func storedOutputs(_ outputs: Int) -> Int { outputs.roundedUp(to: unitOutputs) }

    /// Columns as they are stored, padding included.
    package func storedColumns(_ columns: Int) -> Int {
        self == .int8 ? columns.roundedUp(to: WeightTile.columnAlignment) : columns
    }

    /// Bytes of whole units.
    ///
    /// - Parameters:
    ///   - outputs: a multiple of `unitOutputs`.
    ///   - columns: of the matrix, without padding.
    package func byteCount(outputs: Int, columns: Int) -> Int { outputs * storedColumns(columns) * elementBytes }

    /// The tensor shape of that many stored outputs.
    package func shape(outputs: Int, columns: Int) -> [Int] {
        let columns = storedColumns(columns)
        return self == .int8
            ? [outputs / WeightTile.outputs, columns / WeightTile.quad, WeightTile.outputs, WeightTile.quad]
            : [outputs, columns]
    }
}

/// A tile of int8 weights: 16 outputs by all columns, `[columns/4][16][4]`.
///
/// The kernels know the same order (`CLeafKernels`); everything in Swift asks here.
package enum WeightTile {
    /// Outputs of a tile.
    package static let outputs = 16
    /// Neighbouring columns of one output that lie together.
    package static let quad = 4
    /// Columns are padded to a multiple of this.
    package static let columnAlignment = 64

    /// The byte of a number in its tile.
    @inline(__always)
    package static func offset(output: Int, column: Int) -> Int {
        column / quad * (outputs * quad) + output * quad + column % quad
    }
}

/// The division by `sqrt(fan-in)` of a CPM-Ant linear layer or embedding: done with the stored numbers, or still to do.
///
/// - Source: Documentation/cpm-ant.md, sections 2.2 and 2.5.
package struct FanInScale: Sendable, Equatable {
    /// What stored numbers are still to be divided by.
    package let divisor: Double
    /// What stored numbers are still to be multiplied by, in the float32 of the forward pass.
    package let factor: Float

    /// Nothing is left to do.
    package static let folded = FanInScale(divisor: 1, factor: 1)

    /// The division is still to be done.
    package static func pending(fanIn: Int) -> FanInScale {
        FanInScale(divisor: Double(fanIn).squareRoot(), factor: 1 / Float(fanIn).squareRoot())
    }
}
