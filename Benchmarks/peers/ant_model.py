"""A random CPM-Ant that transformers can hold.

The layers have the width of the published 1B model (16 heads of 128, a feed-forward of 700), and each has both halves: the
published one leaves some out of 48 layers, which transformers cannot express. 24 whole layers have as many weights.
"""

import checkpoint

DIM, HEADS, DIM_HEAD, FEED_FORWARD = 4096, 16, 128, 700
VOCABULARY, PROMPT_TYPES, PROMPT_LENGTH, SEGMENT_TYPES = 30720, 32, 32, 32
BUCKETS, MAX_DISTANCE = 512, 2048
TABLE_ROWS = VOCABULARY + PROMPT_TYPES * PROMPT_LENGTH
MATRICES = {
    "self_att.self_attention.project_q": (HEADS * DIM_HEAD, DIM),
    "self_att.self_attention.project_k": (HEADS * DIM_HEAD, DIM),
    "self_att.self_attention.project_v": (HEADS * DIM_HEAD, DIM),
    "self_att.self_attention.attention_out": (DIM, HEADS * DIM_HEAD),
    "ffn.ffn.w_in.w_0": (FEED_FORWARD, DIM),
    "ffn.ffn.w_in.w_1": (FEED_FORWARD, DIM),
    "ffn.ffn.w_out": (DIM, FEED_FORWARD),
}


def config(layers):
    return {
        "architectures": ["CpmAntForCausalLM"], "model_type": "cpmant", "torch_dtype": "float16",
        "hidden_size": DIM, "num_attention_heads": HEADS, "dim_head": DIM_HEAD, "dim_ff": FEED_FORWARD,
        "num_hidden_layers": layers, "vocab_size": VOCABULARY, "prompt_types": PROMPT_TYPES,
        "prompt_length": PROMPT_LENGTH, "segment_types": SEGMENT_TYPES, "position_bias_num_buckets": BUCKETS,
        "position_bias_max_distance": MAX_DISTANCE, "dropout_p": 0.0, "eps": 1e-6, "use_cache": True,
    }


def shards(layers):
    first = {
        "cpmant.input_embedding.weight": (TABLE_ROWS, DIM),
        "cpmant.segment_embedding.weight": (SEGMENT_TYPES, DIM),
        "cpmant.position_bias.relative_attention_bias": (SEGMENT_TYPES**2 + BUCKETS, HEADS),
        "cpmant.encoder.output_layernorm.weight": (DIM,),
    }
    return [first] + [layer(f"cpmant.encoder.layers.{i}.") for i in range(layers)]


def layer(prefix):
    return {
        prefix + "self_att.layernorm_before_attention.weight": (DIM,),
        prefix + "ffn.layernorm_before_ffn.weight": (DIM,),
        **{f"{prefix}{name}.weight": shape for name, shape in MATRICES.items()},
    }


def write(folder, layers):
    checkpoint.write(folder, config(layers), shards(layers))


def byte_count(layers):
    return checkpoint.byte_count(shards(layers))
