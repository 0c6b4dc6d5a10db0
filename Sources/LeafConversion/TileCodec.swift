package import CLeafKernels
package import LeafFormat

/// Turns tiles of int8 numbers into what a quantized layout stores, and back.
///
/// Unchecked because a table of C functions is not marked as sendable; nobody writes to it.
package struct TileCodec: @unchecked Sendable {
    private let functions: leaf_float_kernels

    /// The fastest that this processor has. Every instruction set makes the same bytes.
    package static var best: TileCodec { TileCodec(leaf_kernels_best().pointee.floats.pointee) }

    package init(_ functions: leaf_float_kernels) { self.functions = functions }

    /// Bytes of a tile of int8 numbers.
    package static func tileBytes(columns: Int) -> Int {
        WeightLayout.int8.byteCount(outputs: WeightTile.outputs, columns: columns)
    }

    /// - Parameters:
    ///   - tile: `[storedColumns / 4][16][4]`, zeros where it is padded.
    ///   - layout: int8 or codes of it.
    ///   - feedback: for each `InputProducts.columns` columns what `InputProducts` made of a text, so that the columns
    ///     behind a code's miss make it good; nil for the nearest codes.
    ///   - target: bytes of a tile of that layout.
    package func store(
        _ tile: UnsafePointer<Int8>, as layout: WeightLayout, columns: Int, with feedback: UnsafePointer<Float>? = nil,
        to target: UnsafeMutableRawPointer
    ) {
        functions.encode(leaf_layout(layout.kernelNumber), tile, layout.storedColumns(columns), feedback, target)
    }

    /// Adds the products of rows of a block's columns: a multiple of 16, at most `InputProducts.columns`.
    package func addProducts(
        _ rows: UnsafePointer<Float>, stride: Int, count: Int, columns: Int, to products: UnsafeMutablePointer<Float>
    ) {
        functions.add_products(rows, stride, count, columns, products)
    }

    /// - Parameters:
    ///   - stored: a tile of `layout`.
    ///   - target: the int8 numbers that it stands for, `[storedColumns / 4][16][4]`.
    package func load(
        _ stored: UnsafeRawPointer, of layout: WeightLayout, columns: Int, to target: UnsafeMutablePointer<Int8>
    ) {
        leaf_decode(leaf_layout(layout.kernelNumber), stored, layout.storedColumns(columns), target)
    }
}
