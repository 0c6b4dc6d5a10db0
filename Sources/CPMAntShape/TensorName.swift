/// Names of a CPM-Ant's tensors in a `.leaf` file: CPM-Live's, and ours for what CPM-Live does not name.
public enum TensorName {
    public static let outputNorm = "encoder.output_layernorm.weight"
    /// `[positionBiasRows, numHeads]`
    public static let positionBias = "position_bias.relative_attention_bias"
    /// `[segmentTypes, dimModel]`, `1/sqrt(dimModel)` folded in.
    public static let segmentEmbedding = "segment_embedding.weight"
    /// `[promptRows, dimModel]`, row by row.
    public static let promptEmbedding = "prompt_embedding.weight"
    public static let promptScale = "prompt_embedding.scale"
    /// The token table `[vocabSize, dimModel]`: input embedding and output projection.
    public static let tokenTable = "input_embedding.weight"

    public static func attentionNorm(layer: Int) -> String {
        "encoder.layers.\(layer).self_att.layernorm_before_attention.weight"
    }

    public static func feedForwardNorm(layer: Int) -> String {
        "encoder.layers.\(layer).ffn.layernorm_before_ffn.weight"
    }

    /// The matrices of an attention block, in sweep order: queries, keys, values, output.
    public static func attentionMatrices(layer: Int) -> [String] {
        ["project_q", "project_k", "project_v", "attention_out"].map {
            "encoder.layers.\(layer).self_att.self_attention.\($0).weight"
        }
    }

    /// The matrices of a feed-forward block, in sweep order: gate, up, down.
    public static func feedForwardMatrices(layer: Int) -> [String] {
        ["w_in.w_0", "w_in.w_1", "w_out"].map { "encoder.layers.\(layer).ffn.ffn.\($0).weight" }
    }
}
