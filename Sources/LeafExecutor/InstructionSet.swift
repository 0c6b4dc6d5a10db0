import CLeafKernels
public import LeafFormat

/// The kernels that run. All give the same bits; they differ in speed.
public enum InstructionSet: String, Sendable, CaseIterable {
    case scalar, avx2, avx512, neon

    /// The fastest that this processor has.
    public static var best: InstructionSet {
        InstructionSet(rawValue: String(cString: leaf_kernels_best().pointee.name)) ?? .scalar
    }

    /// Those that this processor has.
    public static var available: [InstructionSet] { allCases.filter { $0.table != nil } }

    /// - Parameters:
    ///   - name: the value of `LEAFCUTTER_ISA`; nil or empty for the best.
    /// - Throws: `.usage` when the name is unknown or the processor lacks it.
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

    var table: UnsafePointer<leaf_kernels>? { leaf_kernels_named(rawValue) }
}
