"""A random llama-shaped checkpoint for AirLLM, which has no CPM-Ant: the widths of the 10B model, 5 layers, the head untied."""

import checkpoint

DIM, HEADS, FEED_FORWARD, VOCABULARY = 4096, 32, 10240, 30720


def config(layers):
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float16", "hidden_act": "silu",
        "hidden_size": DIM, "intermediate_size": FEED_FORWARD, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
        "num_hidden_layers": layers, "vocab_size": VOCABULARY, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
    }


def shards(layers):
    ends = {"model.embed_tokens.weight": (VOCABULARY, DIM), "model.norm.weight": (DIM,), "lm_head.weight": (VOCABULARY, DIM)}
    return [ends] + [layer(f"model.layers.{i}.") for i in range(layers)]


def layer(prefix):
    return {
        prefix + "input_layernorm.weight": (DIM,),
        prefix + "post_attention_layernorm.weight": (DIM,),
        **{f"{prefix}self_attn.{name}_proj.weight": (DIM, DIM) for name in "qkvo"},
        **{f"{prefix}mlp.{name}_proj.weight": (FEED_FORWARD, DIM) for name in ("gate", "up")},
        prefix + "mlp.down_proj.weight": (DIM, FEED_FORWARD),
    }


def write(folder, layers):
    checkpoint.write(folder, config(layers), shards(layers))


def byte_count(layers):
    return checkpoint.byte_count(shards(layers))
