import CPMAntShape
package import LeafExecutor
import LeafFormat
import LeafGeneration
public import LeafImport
public import LeafSystem

/// The adapters and soft prompts that a model is opened with; requests choose among them by name.
public struct Tunings: Sendable {
    /// A file and the name by which requests choose it; requests that name none use the file without a name.
    public struct Named<File: Sendable>: Sendable {
        public let name: String?
        public let file: File
    }

    public private(set) var adapters: [Named<AdapterFile>] = []
    public private(set) var softPrompts: [Named<SoftPromptFile>] = []

    public init() {}

    /// - Throws: `.usage` if the name is taken.
    public mutating func add(_ file: AdapterFile, named name: String? = nil) throws(LeafError) {
        try Self.add(file, name, to: &adapters, "adapters")
    }

    /// - Throws: `.usage` if the name is taken.
    public mutating func add(_ file: SoftPromptFile, named name: String? = nil) throws(LeafError) {
        try Self.add(file, name, to: &softPrompts, "soft prompts")
    }

    private static func add<File>(
        _ file: File, _ name: String?, to files: inout [Named<File>], _ what: String
    ) throws(LeafError) {
        guard !files.contains(where: { $0.name == name }) else {
            throw LeafError(
                .usage,
                name.map { "two \(what) are called '\($0)'; give each its own name" }
                    ?? "two \(what) have no name; give them as name=FILE and let requests choose")
        }
        files.append(Named(name: name, file: file))
    }

    /// The adapter and soft prompt of requests that name none.
    func unnamed(task: Int, for configuration: ModelConfiguration) -> TextTuning {
        TextTuning(
            adapter: adapters.firstIndex { $0.name == nil },
            softPromptRow: softPrompts.firstIndex { $0.name == nil }.map { row($0, task: task, for: configuration) })
    }

    /// The adapter and soft prompt of a request.
    ///
    /// - Throws: `.usage` for an unknown name.
    func tuning(
        of options: GenerationOptions, for configuration: ModelConfiguration
    ) throws(LeafError) -> TextTuning {
        var tuning = unnamed(task: options.task, for: configuration)
        if let name = options.delta {
            tuning.adapter = try Self.index(of: name, in: adapters, "adapter", field: "delta")
        }
        tuning.softPromptRow = try softPrompt(of: options).map { row($0, task: options.task, for: configuration) }
        return tuning
    }

    /// The index of a request's soft prompt; nil if it uses the task's own.
    ///
    /// - Throws: `.usage` for an unknown name.
    func softPrompt(of options: GenerationOptions) throws(LeafError) -> Int? {
        guard let name = options.promptEmbedding else { return softPrompts.firstIndex { $0.name == nil } }
        return try Self.index(of: name, in: softPrompts, "soft prompt", field: "prompt_embedding")
    }

    private static func index<File>(
        of name: String, in files: [Named<File>], _ what: String, field: String
    ) throws(LeafError) -> Int {
        if let index = files.firstIndex(where: { $0.name == name }) { return index }
        let names = files.compactMap(\.name)
        throw LeafError(
            .usage,
            "no \(what) is called '\(name)'"
                + (names.isEmpty ? "; none was given by a name" : "; there are \(names.joined(separator: ", "))"),
            field: field)
    }

    /// The first row of a soft prompt; such rows follow the model's own table.
    private func row(_ index: Int, task: Int, for configuration: ModelConfiguration) -> Int {
        configuration.promptRows + softPrompts[..<index].reduce(0) { $0 + $1.file.rowCount }
            + (softPrompts[index].file.isTable ? task * configuration.promptLength : 0)
    }
}

extension ModelFile {
    /// The adapters and soft prompts as the model loads them.
    ///
    /// - Parameter instructionSet: of the kernels that widen the numbers.
    package func tuning(_ instructionSet: InstructionSet) -> ModelTuning {
        var matrices: [String: Int] = [:]
        for (index, matrix) in leaf.matrices.enumerated() { matrices[matrix.name] = index }
        let adapters = tunings.adapters.map { adapter in
            LowRankAdapter(
                factors: adapter.file.factors.compactMap { factors in
                    matrices[factors.matrix].map { matrix in
                        LowRankAdapter.Factors(
                            matrix: matrix, rank: factors.rank, scale: factors.scale,
                            load: { () throws(LeafError) in
                                try factors.floats(WeightKernels(instructionSet.rawValue))
                            })
                    }
                })
        }
        let divisor = softPromptDivisor
        let softPrompts = tunings.softPrompts.map { prompt in
            SoftPromptRows(count: prompt.file.rowCount) { () throws(LeafError) in
                var numbers = try prompt.file.floats(WeightKernels(instructionSet.rawValue))
                for index in numbers.indices { numbers[index] = Float(Double(numbers[index]) / divisor) }
                return numbers
            }
        }
        return ModelTuning(adapters: adapters, softPrompts: softPrompts)
    }

    /// The divisor for numbers of a soft prompt. It was trained beside a checkpoint and has its scaling: CPM-Live
    /// divides by `sqrt(dimModel)` at run time.
    private var softPromptDivisor: Double {
        leaf.metadata["source.form"] == "transformers"
            ? FanInScale.folded.divisor : FanInScale.pending(fanIn: configuration.dimModel).divisor
    }
}
