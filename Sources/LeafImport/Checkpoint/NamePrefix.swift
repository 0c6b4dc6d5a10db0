import LeafSystem

/// What a program that saved tensors put in front of all their names: `module.`, `model.`, `base_model.model.`.
enum NamePrefix {
    /// With which the names of a CPM-Ant's tensors begin.
    private static let beginnings = [
        "encoder.", "input_embedding.", "prompt_embedding.", "segment_embedding.", "position_bias.", "cpmant.",
        "lm_head.",
    ]

    /// The longest that all names share in front of a CPM-Ant's own; empty if there is none.
    static func shared(by names: [String]) -> String {
        guard let first = names.first, let prefix = prefix(of: first), !prefix.isEmpty else { return "" }
        let isShared = names.allSatisfy { name in
            name.hasPrefix(prefix) && beginnings.contains { name.dropFirst(prefix.count).hasPrefix($0) }
        }
        return isShared ? prefix : ""
    }

    /// What stands in front of the first of the beginnings.
    private static func prefix(of name: String) -> String? {
        var rest = name[...]
        while true {
            if beginnings.contains(where: { rest.hasPrefix($0) }) { return String(name[..<rest.startIndex]) }
            guard let dot = rest.firstIndex(of: ".") else { return nil }
            rest = rest[rest.index(after: dot)...]
        }
    }

    /// The names as a CPM-Ant has them in CPM-Live, without that and without transformers' `cpmant.`.
    ///
    /// - Parameter path: of the file, for messages.
    /// - Returns: the tensors by name, and a sentence about what was left out.
    /// - Throws: `.badInput` for a name that is there twice.
    static func leftOut(
        of tensors: [SourceTensor], path: String
    ) throws(LeafError) -> (tensors: [String: SourceTensor], note: String?) {
        let prefix = shared(by: tensors.map(\.name))
        var found: [String: SourceTensor] = [:]
        for tensor in tensors {
            var name = tensor.name.dropFirst(prefix.count)
            if name.hasPrefix(transformers) { name = name.dropFirst(transformers.count) }
            guard found.updateValue(tensor, forKey: String(name)) == nil else {
                throw LeafError(.badInput, "\(path): tensor \(name) is there twice")
            }
        }
        let isOrdinary = prefix.isEmpty || prefix == peft
        return (found, isOrdinary ? nil : "\(path): all names begin with `\(prefix)`, which was left out")
    }

    /// In front of all names of PEFT's adapters.
    private static let peft = "base_model.model."

    /// In front of all names but that of the head.
    static let transformers = "cpmant."
}
