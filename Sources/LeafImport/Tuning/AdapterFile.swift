public import CPMAntShape
import LeafFormat
public import LeafSystem

/// A LoRA adapter as OpenDelta saves it: a state dict (`best.pt`, safetensors), or the folder of `save_finetuned`. Or
/// as PEFT does: a folder with `adapter_model.safetensors` and `adapter_config.json`.
///
/// - Source: CPM-Ant reference, section 7.1; PEFT's `LoraConfig` and `LoraLayer`.
public struct AdapterFile: Sendable {
    /// The two factors beside one matrix.
    public struct Factors: Sendable {
        /// The name of the matrix, as in `ModelShape`.
        public let matrix: String
        public let rank: Int
        /// `alpha / rank`, or what PEFT's configuration asks for.
        public let scale: Float
        let a: SourceTensor
        let b: SourceTensor

        /// Bytes of both factors as float32.
        var byteCount: Int { [a, b].reduce(0) { $0 + $1.shape.reduce(4, *) } }

        /// Reads `[rank, columns]` and `[outputs, rank]`.
        ///
        /// - Throws: `.io`, and `.badInput` for damaged bytes, and for numbers that are not finite or not floats.
        package func floats(_ kernels: WeightKernels) throws(LeafError) -> (a: [Float], b: [Float]) {
            for tensor in [a, b] where tensor.storage.checksum != nil { try tensor.checkStorage() }
            return (try RowReader(a).floats(kernels), try RowReader(b).floats(kernels))
        }
    }

    /// The path that the caller gave.
    public let path: String
    public let factors: [Factors]
    let identities: [CheckpointFiles.Identity]
    /// Where all files lie that were read.
    package let paths: [String]
    /// What whoever uses it should know of how it was read.
    package let note: String?

    /// A text that distinguishes one merge from another.
    var description: String {
        let scales = Set(factors.map { "\($0.scale)" }).sorted().joined(separator: ", ")
        return identities.map { "\($0.name) (\($0.byteCount) bytes, scale \(scales))" }.joined(separator: ", ")
    }

    /// The alpha that CPM-Live's examples train with.
    public static let usualAlpha: Float = 16

    /// Finds the factors of an adapter, without reading its numbers.
    ///
    /// - Parameters:
    ///   - alpha: nil for the value in its configuration, otherwise 16.
    ///   - allowance: has to hold the table of tensors.
    /// - Throws: `.badInput` naming tensors that do not belong to this model, are missing, or have the wrong shape.
    package init(
        path: String, alpha: Float? = nil, for configuration: ModelConfiguration, _ allowance: inout HeapAllowance
    ) throws(LeafError) {
        self.path = path
        try configuration.checkLimits(in: path)
        let weights = FilePath.isDirectory(path) ? try SourceFolder.weights(in: path, named: Self.usualNames) : path
        let isAlone = weights == path
        let json = try AdapterConfiguration(of: weights, isAlone: isAlone, needsAlpha: alpha == nil)
        var reader = CheckpointReader(
            maximumHeaderBytes: CheckpointReader.smallHeaderBytes, allowance: allowance)
        try reader.read(weights)
        allowance = reader.allowance
        identities = reader.identities
        paths = reader.paths + (AdapterConfiguration.path(of: weights, isAlone: isAlone).map { [$0] } ?? [])
        let alpha = alpha ?? json.alpha ?? Self.usualAlpha
        guard alpha.isFinite, alpha > 0 else {
            throw LeafError(.usage, "an alpha of \(alpha) makes no adapter; give a positive number")
        }
        let named = try NamePrefix.leftOut(of: reader.tensors, path: path)
        note = named.note
        let assembly = try AdapterAssembly(
            path: path, shapes: ModelShape(configuration, weights: .float32).layerMatrices, tensors: named.tensors)
        factors = try assembly.factors(json, alpha: alpha)
    }

    /// The same with as much memory as the table needs.
    public init(path: String, alpha: Float? = nil, for configuration: ModelConfiguration) throws(LeafError) {
        var allowance = HeapAllowance.unlimited
        try self.init(path: path, alpha: alpha, for: configuration, &allowance)
    }

    private static let usualNames = [
        "model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin",
    ]
}

/// Groups the tensors of an adapter by the matrices that they are beside.
private struct AdapterAssembly {
    let path: String
    let shapes: [FileShape.Matrix]
    /// By OpenDelta's names.
    private var tensors: [String: SourceTensor] = [:]

    /// - Parameter tensors: by the names of OpenDelta or PEFT, with nothing in front.
    init(path: String, shapes: [FileShape.Matrix], tensors: [String: SourceTensor]) throws(LeafError) {
        self.path = path
        self.shapes = shapes
        for (name, tensor) in tensors {
            guard self.tensors.updateValue(tensor, forKey: Self.openDeltaName(name)) == nil else {
                throw LeafError(.badInput, "\(path): tensor \(name) is there twice")
            }
        }
    }

    /// PEFT's `X.lora_A.weight` is `X.lora.lora_A`; in a state dict, the adapter's own name stands inside:
    /// `X.lora_A.default.weight`.
    private static func openDeltaName(_ name: String) -> String {
        for factor in ["lora_A", "lora_B"] {
            for ending in [".\(factor).weight", ".\(factor).default.weight"] where name.hasSuffix(ending) {
                return "\(name.dropLast(ending.count)).lora.\(factor)"
            }
        }
        return name
    }

    /// - Throws: `.badInput` for the first fault.
    func factors(_ json: AdapterConfiguration, alpha: Float) throws(LeafError) -> [AdapterFile.Factors] {
        var unused = tensors
        var factors: [AdapterFile.Factors] = []
        var missing: [String] = []
        let wanted = wantedModules(json)
        for shape in shapes {
            let module = Self.module(shape.name)
            let names = ["A", "B"].map { "\(module).lora.lora_\($0)" }
            let (a, b) = (unused.removeValue(forKey: names[0]), unused.removeValue(forKey: names[1]))
            guard let a, let b else {
                if a != nil || b != nil || wanted.contains(module) {
                    missing += zip(names, [a, b]).filter { $1 == nil }.map(\.0)
                }
                continue
            }
            let rank = a.shape.first ?? 0
            guard rank > 0, rank <= min(shape.outputs, shape.columns), rank == json.rank ?? rank else {
                throw LeafError(
                    .badInput,
                    "\(path): tensor \(names[0]) has the shape \(a.shape), which is no rank"
                        + (json.rank.map { " of \($0), as the configuration says" } ?? ""))
            }
            try check(a, [rank, shape.columns])
            try check(b, [shape.outputs, rank])
            factors.append(.init(matrix: shape.name, rank: rank, scale: json.scale(alpha, rank: rank), a: a, b: b))
        }
        guard !unused.keys.contains(where: { $0.contains("lora_magnitude_vector") }) else {
            throw LeafError(.badInput, "\(path) is a DoRA adapter; only plain LoRA can be used")
        }
        guard unused.isEmpty else {
            throw LeafError(
                .badInput,
                "\(path) has tensors that are no LoRA beside this model's matrices: \(unused.keys.sorted().listed())")
        }
        guard missing.isEmpty else {
            throw LeafError(.badInput, "\(path) lacks \(missing.listed()); save the adapter again")
        }
        guard !factors.isEmpty else { throw LeafError(.badInput, "\(path) holds no tensors") }
        return factors
    }

    /// The modules that the configuration lists. Without a list, every layer must have each module that any layer has.
    private func wantedModules(_ json: AdapterConfiguration) -> Set<String> {
        let modules = shapes.map { Self.module($0.name) }
        let isWanted: (String) -> Bool
        if let listed = json.modules {
            // A name with this prefix is a regular expression, so it is not known which modules could be missing.
            guard !listed.contains(where: { $0.hasPrefix(AdapterConfiguration.expressionMark) }) else { return [] }
            isWanted = { module in listed.contains { module == $0 || module.hasSuffix("." + $0) } }
        } else {
            let kinds = Set(modules.filter { tensors["\($0).lora.lora_A"] != nil }.map(Self.kind))
            isWanted = { kinds.contains(Self.kind($0)) }
        }
        return Set(modules.filter(isWanted))
    }

    private static func module(_ matrix: String) -> String { String(matrix.dropLast(".weight".count)) }

    private static func kind(_ module: String) -> Substring { module.split(separator: ".").last ?? "" }

    private func check(_ tensor: SourceTensor, _ shape: [Int]) throws(LeafError) {
        guard tensor.shape == shape else {
            throw LeafError(
                .badInput,
                "\(path): tensor \(tensor.name) has the shape \(tensor.shape), this model asks for \(shape)")
        }
    }
}
