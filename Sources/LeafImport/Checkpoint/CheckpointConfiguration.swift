import LeafFormat
import LeafSystem

/// The JSON beside the weights: transformers' `config.json`, or CPM-Live's. Unknown keys are ignored.
struct CheckpointConfiguration: Decodable {
    /// Whose names the JSON uses, and whose scaling the weights have.
    enum Style: String {
        /// The weights contain `1/sqrt(fan-in)`.
        case transformers = "transformers'"
        /// The model multiplies by `1/sqrt(fan-in)` at run time.
        case cpmLive = "CPM-Live's"
    }

    let style: Style
    let vocabSize, dimModel, numHeads, dimHead, dimFF, numLayers: Int?
    let positionBiasNumBuckets, positionBiasMaxDistance: Int?
    let eps: Float?
    let promptTypes, promptLength, segmentTypes: Int?
    /// For each layer, whether attention and feed-forward are removed.
    let masks: [[Bool]]?

    private static let maximumBytes = 256 << 10

    init(path: String) throws(LeafError) {
        self = try InputFile(path: path)
            .json(Self.self, atMost: Self.maximumBytes, what: "the configuration of a model")
    }

    private enum Key: String, CodingKey {
        case modelType = "model_type"
        case hiddenSize = "hidden_size"
        case numAttentionHeads = "num_attention_heads"
        case numHiddenLayers = "num_hidden_layers"
        case dimModel = "dim_model"
        case numHeads = "num_heads"
        case numLayers = "num_layers"
        case vocabSize = "vocab_size"
        case dimHead = "dim_head"
        case dimFF = "dim_ff"
        case eps
        case positionBiasNumBuckets = "position_bias_num_buckets"
        case positionBiasMaxDistance = "position_bias_max_distance"
        case promptTypes = "prompt_types"
        case promptLength = "prompt_length"
        case segmentTypes = "segment_types"
        case maskModules = "mask_modules"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        func number(_ key: Key) throws -> Int? { try container.decodeIfPresent(Int.self, forKey: key) }

        let modelType = try container.decodeIfPresent(String.self, forKey: .modelType)
        if let modelType, modelType != "cpmant" {
            throw LeafError(.badInput, "the model is a \(modelType), Leafcutter reads CPM-Ant (`cpmant`)")
        }
        let isTransformers = modelType != nil || container.contains(.hiddenSize)
        guard isTransformers || container.contains(.dimModel) else {
            throw LeafError(
                .badInput, "neither hidden_size nor dim_model is there", advice: .setting("config", ["FILE"]))
        }
        style = isTransformers ? .transformers : .cpmLive
        dimModel = try number(isTransformers ? .hiddenSize : .dimModel)
        numHeads = try number(isTransformers ? .numAttentionHeads : .numHeads)
        numLayers = try number(isTransformers ? .numHiddenLayers : .numLayers)
        vocabSize = try number(.vocabSize)
        dimHead = try number(.dimHead)
        dimFF = try number(.dimFF)
        positionBiasNumBuckets = try number(.positionBiasNumBuckets)
        positionBiasMaxDistance = try number(.positionBiasMaxDistance)
        eps = try container.decodeIfPresent(Float.self, forKey: .eps)
        promptTypes = try number(.promptTypes)
        promptLength = try number(.promptLength)
        segmentTypes = try number(.segmentTypes)
        masks = try container.decodeIfPresent([[Flag]].self, forKey: .maskModules)?.map { $0.map(\.value) }
    }

    /// `true`, or `1`, which some tools write.
    private struct Flag: Decodable {
        let value: Bool

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let flag = try? container.decode(Bool.self) {
                value = flag
            } else {
                value = try container.decode(Int.self) != 0
            }
        }
    }
}
