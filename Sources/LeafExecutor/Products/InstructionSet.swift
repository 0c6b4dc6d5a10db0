package import CLeafKernels
package import LeafFormat
public import LeafSystem

/// A set of kernels. All give the same bits; they differ in speed.
public struct InstructionSet: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// `scalar`, `avx2`, `avxvnni`, `avx512`, `amx`, `neon` or `i8mm`.
    public let rawValue: String

    /// Nil for a name that no set of kernels has.
    public init?(rawValue: String) {
        guard Self.names.contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    private init(_ kernels: UnsafePointer<leaf_kernels>) { rawValue = String(cString: kernels.pointee.name) }

    /// Plain C, which every processor runs.
    public static var scalar: InstructionSet { available[0] }

    /// The fastest set that this processor has.
    public static var best: InstructionSet { InstructionSet(leaf_kernels_best()) }

    /// The sets that this processor has, slowest first.
    public static var available: [InstructionSet] {
        names.compactMap { leaf_kernels_named($0).map { InstructionSet($0) } }
    }

    /// Asks the system for the tiles of AMX, where the processor has them. Where it agrees, `amx` is available to the
    /// whole process from then on, and signal stacks that are too small for tiles are refused. So a library leaves this
    /// to its host.
    public static func permitTiles() { _ = leaf_kernels_permit() }

    /// The names of all sets, slowest first.
    private static var names: [String] {
        var names: [String] = []
        while let name = leaf_kernels_name(names.count) { names.append(String(cString: name)) }
        return names
    }

    /// - Parameters:
    ///   - name: the value of `LEAFCUTTER_ISA`; nil or empty for the best.
    /// - Throws: `.usage` if the name is unknown, or if the processor lacks the set.
    public init(named name: String?) throws(LeafError) {
        guard let name, !name.isEmpty else {
            self = .best
            return
        }
        let here = Self.available.map(\.rawValue).joined(separator: ", ")
        guard let set = InstructionSet(rawValue: name) else {
            throw LeafError(.usage, "LEAFCUTTER_ISA=\(name) is no instruction set; this machine has \(here)")
        }
        guard set.table != nil else {
            throw LeafError(.usage, "LEAFCUTTER_ISA=\(name) does not run on this machine, which has \(here)")
        }
        self = set
    }

    public var description: String { rawValue }

    fileprivate var table: UnsafePointer<leaf_kernels>? { leaf_kernels_named(rawValue) }
}

/// The C functions of an instruction set.
///
/// Unchecked because a table of C functions is not marked as sendable; nobody writes to it.
package struct Kernels: @unchecked Sendable {
    package let floats: leaf_float_kernels
    /// The product with int8 weights, which quantizes the rows of every product.
    package let product: leaf_product
    /// By the number of a quantized layout.
    package let products: [leaf_product]

    package init(floats: leaf_float_kernels, products: [leaf_product]) {
        self.floats = floats
        self.products = products
        product = products[0]
    }

    /// The product with quantized weights of a layout.
    package func product(_ layout: WeightLayout) -> leaf_product { products[Int(layout.kernelNumber)] }

    /// The kernels of a set, or of the best one where the processor lacks it.
    package init(_ instructionSet: InstructionSet) {
        let table = (instructionSet.table ?? leaf_kernels_best()).pointee
        self.init(
            floats: table.floats.pointee,
            products: (0..<LEAF_LAYOUT_COUNT.rawValue).map { leaf_kernels_product([table], leaf_layout($0)).pointee })
    }
}
