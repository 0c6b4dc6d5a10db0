import Glibc
public import LeafExecutor

/// Settings from environment variables.
enum Environment {
    /// `LEAFCUTTER_ISA`: the kernels to use.
    static var instructionSet: String? { getenv("LEAFCUTTER_ISA").map { String(cString: $0) } }
}

extension InstructionSet {
    /// The kernels that a model opened now would use: those that `LEAFCUTTER_ISA` names, otherwise the best.
    ///
    /// - Throws: `.usage` when the name is unknown or the processor lacks it.
    public static func wanted() throws(LeafError) -> InstructionSet {
        try InstructionSet(named: Environment.instructionSet)
    }
}
