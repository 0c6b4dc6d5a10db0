/// Names of a CPM-Ant's tensors in a `.leaf` file: CPM-Live's, and ours for what CPM-Live does not name.
package enum TensorName {
    package static let outputNorm = "encoder.output_layernorm.weight"
    /// `[positionBiasRows, numHeads]`
    package static let positionBias = "position_bias.relative_attention_bias"
    /// `[segmentTypes, dimModel]`, `1/sqrt(dimModel)` folded in.
    package static let segmentEmbedding = "segment_embedding.weight"
    /// `[promptRows, dimModel]`, row by row.
    package static let promptEmbedding = "prompt_embedding.weight"
    package static let promptScale = "prompt_embedding.scale"
    /// The token table `[vocabSize, dimModel]`: input embedding, and output projection unless there is a head.
    package static let tokenTable = "input_embedding.weight"
    /// An output projection of its own, `[vocabSize, dimModel]`: transformers' name. In a checkpoint it may be the
    /// token table once more, with or without the soft prompts' rows.
    package static let head = "lm_head.weight"

    package static func attentionNorm(layer: Int) -> String {
        "encoder.layers.\(layer).self_att.layernorm_before_attention.weight"
    }

    package static func feedForwardNorm(layer: Int) -> String {
        "encoder.layers.\(layer).ffn.layernorm_before_ffn.weight"
    }

    /// The matrices of an attention block, in sweep order: queries, keys, values, output.
    package static func attentionMatrices(layer: Int) -> [String] {
        ["project_q", "project_k", "project_v", "attention_out"].map {
            "encoder.layers.\(layer).self_att.self_attention.\($0).weight"
        }
    }

    /// The matrices of a feed-forward block, in sweep order: gate, up, down.
    package static func feedForwardMatrices(layer: Int) -> [String] {
        ["w_in.w_0", "w_in.w_1", "w_out"].map { "encoder.layers.\(layer).ffn.ffn.\($0).weight" }
    }
}
