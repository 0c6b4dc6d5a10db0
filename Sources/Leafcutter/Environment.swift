import Glibc
public import LeafExecutor

/// What the environment asks for.
enum Environment {
    /// `LEAFCUTTER_ISA`: forces kernels.
    static var instructionSet: String? { getenv("LEAFCUTTER_ISA").map { String(cString: $0) } }
}

extension InstructionSet {
    /// The kernels that a model opened now would use: those of `LEAFCUTTER_ISA`, or the best.
    ///
    /// - Throws: `.usage` when the name is unknown or the processor lacks it.
    public static func wanted() throws(LeafError) -> InstructionSet {
        try InstructionSet(named: Environment.instructionSet)
    }
}
