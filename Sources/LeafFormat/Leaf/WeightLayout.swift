import LeafSystem

/// How the weights of a model file are stored, as a user asks for it: the layout of most of its matrices.
public enum WeightFormat: String, Sendable, Codable, CaseIterable {
    /// Symmetric, one float32 scale an output.
    case int8
    /// int8 numbers that are few enough for codes of 4 bits.
    case q4
    /// int8 numbers that are few enough for codes of 3 bits.
    case q3
    case float16
    case float32

    /// The layout of the layers' matrices.
    package var layout: WeightLayout {
        switch self {
        case .int8: .int8
        case .q4: .q4
        case .q3: .q3
        case .float16: .float16
        case .float32: .float32
        }
    }

    /// The layout of the token table, of a head of its own and of soft prompts: few numbers, which matter more.
    package var tableLayout: WeightLayout { layout.isQuantized ? .int8 : layout }

    /// Whether activations are quantized too. All sums are exact then, on any machine.
    public var isQuantized: Bool { layout.isQuantized }

    /// Bytes of one weight of the layers, such as 0.53125 for `q4`; the scales of outputs are not counted.
    public var bytesPerWeight: Double { layout.bytesPerWeight }
}

/// How one matrix `[outputs, columns]` lies in its chunks: the one place that knows where a number is stored.
package enum WeightLayout: Sendable, Equatable {
    /// Tiles of 16 outputs for the kernels, `[outputs/16, columns/4, 16, 4]`: outputs padded to a multiple of 16 and
    /// columns to a multiple of 64, with zeros. One float32 scale an output, a tensor of its own that stays in memory.
    case int8
    /// Codes of the same tiles, `[outputs/16, columns/64, 544]` bytes (`CLeafKernels` says which); the same scales.
    case q4
    /// Shorter codes of them, `[outputs/16, columns/64, 416]` bytes.
    case q3
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

    package var scales: Scales { isQuantized ? .resident : .none }

    /// Whether the matrix is stored as tiles of int8 numbers or of their codes, and rows are quantized before they meet
    /// it.
    package var isQuantized: Bool { self == .int8 || isCoded }

    /// Whether the stored bytes are codes of int8 numbers.
    package var isCoded: Bool { self == .q4 || self == .q3 }

    /// What the kernels call a quantized layout: a `leaf_layout`.
    package var kernelNumber: UInt32 {
        switch self {
        case .q4: 1
        case .q3: 2
        case .int8, .float16, .float32: 0
        }
    }

    /// Outputs that are never parted: a tile or a row.
    package var unitOutputs: Int { isQuantized ? WeightTile.outputs : 1 }

    /// Bytes of one weight.
    package var bytesPerWeight: Double {
        Double(byteCount(outputs: unitOutputs, columns: WeightTile.columnAlignment))
            / Double(unitOutputs * WeightTile.columnAlignment)
    }

    package var elementType: TensorEntry.ElementType {
        switch self {
        case .int8: .i8
        case .q4, .q3: .u8
        case .float16: .f16
        case .float32: .f32
        }
    }

    /// Outputs as they are stored, padding included.
    package func storedOutputs(_ outputs: Int) -> Int { outputs.roundedUp(to: unitOutputs) }

    /// Columns as they are stored, padding included.
    package func storedColumns(_ columns: Int) -> Int {
        isQuantized ? columns.roundedUp(to: WeightTile.columnAlignment) : columns
    }

    /// Bytes of whole units.
    ///
    /// - Parameters:
    ///   - outputs: a multiple of `unitOutputs`.
    ///   - columns: of the matrix, without padding.
    package func byteCount(outputs: Int, columns: Int) -> Int {
        let columns = storedColumns(columns)
        return switch self {
        case .int8: outputs * columns
        case .q4: outputs / WeightTile.outputs * (columns / WeightTile.columnAlignment) * WeightTile.q4SectionBytes
        case .q3: outputs / WeightTile.outputs * (columns / WeightTile.columnAlignment) * WeightTile.q3SectionBytes
        case .float16: outputs * columns * 2
        case .float32: outputs * columns * 4
        }
    }

    /// The tensor shape of that many stored outputs.
    package func shape(outputs: Int, columns: Int) -> [Int] {
        let columns = storedColumns(columns)
        return switch self {
        case .int8: [outputs / WeightTile.outputs, columns / WeightTile.quad, WeightTile.outputs, WeightTile.quad]
        case .q4: [outputs / WeightTile.outputs, columns / WeightTile.columnAlignment, WeightTile.q4SectionBytes]
        case .q3: [outputs / WeightTile.outputs, columns / WeightTile.columnAlignment, WeightTile.q3SectionBytes]
        case .float16, .float32: [outputs, columns]
        }
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
    /// Bytes of a tile's `columnAlignment` columns as codes of 4 bits: a selector for each 4 outputs by 8 columns, and
    /// the codes.
    package static let q4SectionBytes = 544
    /// The same as codes of 3 bits.
    package static let q3SectionBytes = 416

    /// The byte of a number in its tile.
    @inline(__always)
    package static func offset(output: Int, column: Int) -> Int {
        column / quad * (outputs * quad) + output * quad + column % quad
    }

    /// Writes an output's numbers into a tile of int8 numbers.
    ///
    /// - Parameters:
    ///   - row: `[columns]`.
    ///   - output: in the tile.
    package static func put(
        _ row: UnsafePointer<Int8>, of output: Int, columns: Int, in tile: UnsafeMutablePointer<Int8>
    ) {
        // A quad of columns is one word.
        let whole = columns / quad * quad
        for column in stride(from: 0, to: whole, by: quad) {
            let word = UnsafeRawPointer(row + column).loadUnaligned(as: UInt32.self)
            UnsafeMutableRawPointer(tile).storeBytes(
                of: word, toByteOffset: offset(output: output, column: column), as: UInt32.self)
        }
        for column in whole..<columns { tile[offset(output: output, column: column)] = row[column] }
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

    /// A scale of stored numbers with the division done, rounded once.
    package func applied(to scale: Float) -> Float { Float(Double(scale) / divisor) }

    /// The division is still to be done.
    package static func pending(fanIn: Int) -> FanInScale {
        FanInScale(divisor: Double(fanIn).squareRoot(), factor: 1 / Float(fanIn).squareRoot())
    }
}
