import LeafFormat
import LeafSystem

/// The JSON beside an adapter: OpenDelta's `config.json`, where a value that has its default may be missing, or PEFT's
/// `adapter_config.json`. Unknown keys are ignored.
struct AdapterConfiguration: Decodable {
    private(set) var rank: Int?
    private(set) var alpha: Float?
    /// The ends of module names; nil if it does not say which.
    private(set) var modules: [String]?
    /// Whether the scale is `alpha / sqrt(rank)`.
    private var isRankStabilized = false

    private static let maximumBytes = 64 << 10
    /// In front of a regular expression among the modules, as OpenDelta marks it.
    static let expressionMark = "[r]"

    /// - Parameters:
    ///   - weights: the file with the tensors.
    ///   - isAlone: whether that was given, and not a folder, so that a `config.json` beside it may be anybody's.
    ///   - needsAlpha: whether the caller gives none. PEFT has no usual one.
    /// - Throws: `.badInput` for what is no plain LoRA.
    init(of weights: String, isAlone: Bool, needsAlpha: Bool) throws(LeafError) {
        guard let path = Self.path(of: weights, isAlone: isAlone) else { return }
        guard FilePath.exists(path) else {
            guard Self.isPEFT(weights), needsAlpha else { return }
            throw LeafError(
                .badInput, "\(weights) is PEFT's, and \(path), which says its alpha, is not there",
                advice: .setting("delta_alpha", ["A"]))
        }
        self = try InputFile(path: path)
            .json(Self.self, atMost: Self.maximumBytes, what: "the configuration of an adapter")
    }

    /// Where it lies, if it does; nil where no file is looked for.
    ///
    /// - Parameters: as above.
    static func path(of weights: String, isAlone: Bool) -> String? {
        guard isPEFT(weights) || !isAlone else { return nil }
        return "\(FilePath.folder(of: weights))/\(isPEFT(weights) ? "adapter_config.json" : "config.json")"
    }

    private static func isPEFT(_ weights: String) -> Bool {
        FilePath.name(of: weights).hasPrefix("adapter_model.")
    }

    func scale(_ alpha: Float, rank: Int) -> Float {
        alpha / (isRankStabilized ? Float(rank).squareRoot() : Float(rank))
    }

    private enum Key: String, CodingKey {
        case deltaType = "delta_type"
        case loraRank = "lora_r"
        case alpha = "lora_alpha"
        case modifiedModules = "modified_modules"
        case peftType = "peft_type"
        case rank = "r"
        case targetModules = "target_modules"
        case layers = "layers_to_transform"
        case isRankStabilized = "use_rslora"
        case isDecomposed = "use_dora"
        case hasBias = "lora_bias"
        case bias
        case ranks = "rank_pattern"
        case alphas = "alpha_pattern"
        case wholeModules = "modules_to_save"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        alpha = try container.decodeIfPresent(Float.self, forKey: .alpha)
        guard let kind = try container.decodeIfPresent(String.self, forKey: .peftType) else {
            rank = try container.decodeIfPresent(Int.self, forKey: .loraRank)
            modules = try container.decodeIfPresent([String].self, forKey: .modifiedModules)
            try Self.check(kind: container.decodeIfPresent(String.self, forKey: .deltaType), is: "lora")
            return
        }
        try Self.check(kind: kind, is: "LORA")
        try Self.checkPlain(container)
        rank = try container.decodeIfPresent(Int.self, forKey: .rank)
        // PEFT's default.
        alpha = alpha ?? 8
        isRankStabilized = try container.decodeIfPresent(Bool.self, forKey: .isRankStabilized) ?? false
        // A text is an expression; and where only some layers are meant, none can be missing.
        let listed = try? container.decodeIfPresent([String].self, forKey: .targetModules)
        let isWhole = try !container.contains(.layers) || container.decodeNil(forKey: .layers)
        modules = isWhole ? listed ?? [Self.expressionMark] : [Self.expressionMark]
    }

    private static func check(kind: String?, is wanted: String) throws(LeafError) {
        guard let kind, kind != wanted else { return }
        throw LeafError(.badInput, "the adapter is of the kind '\(kind)'; only \(wanted) can be used")
    }

    /// - Throws: `.badInput` naming what is more than two factors beside a matrix.
    private static func checkPlain(_ container: KeyedDecodingContainer<Key>) throws {
        func flag(_ key: Key) throws -> Bool { try container.decodeIfPresent(Bool.self, forKey: key) ?? false }
        func isFilled(_ key: Key) throws -> Bool {
            try container.decodeIfPresent([String: Double].self, forKey: key)?.isEmpty == false
        }
        let kept = try container.decodeIfPresent([String].self, forKey: .wholeModules) ?? []
        let bias = try container.decodeIfPresent(String.self, forKey: .bias) ?? "none"
        let strange: [(isThere: Bool, what: String)] = [
            (try flag(.isDecomposed), "DoRA (use_dora)"), (try flag(.hasBias) || bias != "none", "a bias"),
            (try isFilled(.ranks), "ranks that differ (rank_pattern)"),
            (try isFilled(.alphas), "alphas that differ (alpha_pattern)"),
            (!kept.isEmpty, "whole modules (modules_to_save)"),
        ]
        guard let first = strange.first(where: \.isThere) else { return }
        throw LeafError(.badInput, "the adapter has \(first.what); only plain LoRA can be used")
    }
}
