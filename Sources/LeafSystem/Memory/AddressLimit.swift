/// A limit of the shell (`ulimit`) on what this process maps, whether or not it is ever touched.
package struct AddressLimit: Sendable, Equatable {
    package enum Kind: Sendable {
        /// Everything that is mapped, files as well (`ulimit -v`).
        case all
        /// What is writable and nobody else's: heap, buffers, stacks of threads (`ulimit -d`).
        case data
    }

    package let kind: Kind
    package let bytes: Int
    /// What is mapped of that already.
    package let used: Int

    package var room: Int { max(0, bytes - used) }

    package init(kind: Kind, bytes: Int, used: Int) {
        self.kind = kind
        self.bytes = bytes
        self.used = used
    }

    /// The limits that are set. What is mapped already is known by `/proc` alone; without it, what was resident counts,
    /// and a refusal by the system still has its sentence.
    package static func current(_ reports: KernelReports = .real) -> [AddressLimit] {
        let all = reports.limits()
        let limits = [(Kind.all, all.addressSpace), (.data, all.data)].compactMap { kind, bytes in
            bytes.map { (kind, $0) }
        }
        guard !limits.isEmpty else { return [] }
        let status = colonFields(reports.file("/proc/self/status") ?? "")
        return limits.map { kind, bytes in
            AddressLimit(kind: kind, bytes: bytes, used: kibibytes(status[kind.field]) ?? reports.peakBytes())
        }
    }

    /// The least that all limits leave; nil without one.
    package static func room(_ reports: KernelReports = .real) -> Int? { current(reports).map(\.room).min() }

    /// - Parameters:
    ///   - needed: bytes that will be mapped besides what is.
    ///   - what: needs them, for the message: `this model`.
    /// - Throws: `.budget` naming the limit that is too low.
    package static func check(_ needed: Int, for what: String, _ reports: KernelReports = .real) throws(LeafError) {
        for limit in current(reports) where limit.room < needed { throw limit.refusal(of: needed, for: what) }
    }

    func refusal(of needed: Int, for what: String) -> LeafError {
        LeafError(
            .budget,
            "\(kind.sentence) is \(bytes.sizeText), "
                + "and \((used +| needed).roundedUpText) are needed for \(what); raise it")
    }

    /// The limit on the stack of the first thread, in bytes; nil without one.
    package static func stack(_ reports: KernelReports = .real) -> Int? { reports.limits().stack }
}

extension AddressLimit.Kind {
    /// In `/proc/self/status`.
    fileprivate var field: Substring {
        switch self {
        case .all: "VmSize"
        case .data: "VmData"
        }
    }

    fileprivate var sentence: String {
        switch self {
        case .all: "the limit on address space (ulimit -v)"
        case .data: "the limit on data (ulimit -d)"
        }
    }
}
