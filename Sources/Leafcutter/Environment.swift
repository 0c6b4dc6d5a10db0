import Glibc

/// What the environment asks for.
enum Environment {
    /// `LEAFCUTTER_ISA`: forces kernels.
    static var instructionSet: String? { getenv("LEAFCUTTER_ISA").map { String(cString: $0) } }
}
