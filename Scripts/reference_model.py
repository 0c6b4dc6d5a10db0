"""CPM-Ant in plain PyTorch, on one text: what the golden data of this project's own fixtures are computed with."""
import math

import torch
import torch.nn.functional as F

MODULES = {name: f"encoder.layers.{{}}.{path}" for name, path in (
    ("project_q", "self_att.self_attention.project_q"), ("project_k", "self_att.self_attention.project_k"),
    ("project_v", "self_att.self_attention.project_v"), ("attention_out", "self_att.self_attention.attention_out"),
    ("w_0", "ffn.ffn.w_in.w_0"), ("w_1", "ffn.ffn.w_in.w_1"), ("w_out", "ffn.ffn.w_out"))}


def shapes(config):
    """Of a checkpoint's tensors, in its order: those of an attention and of a feed-forward, the layer left open, and the
    others."""
    d, width, ff = config["dim_model"], config["num_heads"] * config["dim_head"], config["dim_ff"]
    attention = {"encoder.layers.{}.self_att.layernorm_before_attention.weight": (d,)}
    attention |= {MODULES[f"project_{name}"] + ".weight": (width, d) for name in "qkv"}
    attention |= {MODULES["attention_out"] + ".weight": (d, width)}
    feed_forward = {"encoder.layers.{}.ffn.layernorm_before_ffn.weight": (d,)}
    feed_forward |= {MODULES[name] + ".weight": shape for name, shape in (
        ("w_0", (ff, d)), ("w_1", (ff, d)), ("w_out", (d, ff)))}
    return attention, feed_forward, {
        "encoder.output_layernorm.weight": (d,),
        "prompt_embedding.weight": (config["prompt_types"] * config["prompt_length"], d),
        "segment_embedding.weight": (config["segment_types"], d), "input_embedding.weight": (config["vocab_size"], d),
        "position_bias.relative_attention_bias": (
            config["position_bias_num_buckets"] + config["segment_types"] ** 2, config["num_heads"])}


class Ant:
    """CPM-Ant with CPM-Live's weights: 1/sqrt(fan-in) is applied as it runs. A half layer without weights is left out."""

    def __init__(self, weights, config, heads={}):
        """`heads` has the columns of the position bias that pruned layers kept."""
        self.w, self.c, self.heads = weights, config, heads

    def linear(self, x, module, lora, alpha):
        weight = self.w[module + ".weight"]
        y = F.linear(x, weight) / math.sqrt(weight.shape[1])
        if module + ".lora.lora_A" in lora:
            a, b = (lora[f"{module}.lora.lora_{m}"].float() for m in "AB")
            y = y + (x @ a.T) @ b.T * (alpha / a.shape[0])
        return y

    def norm(self, x, name):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.c["eps"]) * self.w[name + ".weight"]

    def bias(self, segments):
        half, exact = self.c["position_bias_num_buckets"] // 2, self.c["position_bias_num_buckets"] // 4
        at = torch.arange(len(segments))
        distance = at[None, :] - at[:, None]
        a = distance.abs()
        far = exact + (torch.log(a.clamp(min=1) / exact) / math.log(self.c["position_bias_max_distance"] / exact)
                       * (half - exact)).int()
        near = torch.where(a < exact, a, far.clamp(max=half - 1)) + (distance > 0) * half
        other = 2 * half + segments[:, None] * self.c["segment_types"] + segments[None, :]
        index = torch.where(segments[:, None] == segments[None, :], near, other)
        return F.embedding(index, self.w["position_bias.relative_attention_bias"]).permute(2, 0, 1)

    def logits(self, ids, task=2, segment=2, lora={}, alpha=16.0, prompt=None, generated=0):
        """`generated`: how many ids at the end are no context."""
        c, root = self.c, math.sqrt(self.c["dim_model"])
        if prompt is None:
            prompt = self.w["prompt_embedding.weight"][task * c["prompt_length"]:][:c["prompt_length"]]
        segments = torch.tensor([0] * c["prompt_length"] + [segment] * len(ids))
        x = torch.cat((prompt.to(self.w["input_embedding.weight"].dtype),
                       self.w["input_embedding.weight"][torch.tensor(ids)]))
        x = (x + self.w["segment_embedding.weight"][segments]) / root
        bias, count = self.bias(segments), len(segments)
        at = torch.arange(count)
        context = at < count - generated
        sees = context[None, :] | (~context[:, None] & (at[None, :] <= at[:, None]))
        for layer in range(c["num_layers"]):
            def apply(y, name):
                return self.linear(y, MODULES[name].format(layer), lora, alpha)

            def has(name):
                return MODULES[name].format(layer) + ".weight" in self.w
            if has("project_q"):
                n = self.norm(x, f"encoder.layers.{layer}.self_att.layernorm_before_attention")
                heads = self.heads.get(layer, list(range(c["num_heads"])))
                q, k, v = (apply(n, name).view(count, len(heads), -1).transpose(0, 1)
                           for name in ("project_q", "project_k", "project_v"))
                scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]) + bias[heads]
                weights = torch.softmax(scores.masked_fill(~sees, -math.inf), -1)
                x = x + apply((weights @ v).transpose(0, 1).reshape(count, -1), "attention_out")
            if has("w_0"):
                n = self.norm(x, f"encoder.layers.{layer}.ffn.layernorm_before_ffn")
                x = x + apply(F.gelu(apply(n, "w_0")) * apply(n, "w_1"), "w_out")
        hidden = self.norm(x, "encoder.output_layernorm")[c["prompt_length"]:]
        return F.linear(hidden / root, self.w["input_embedding.weight"])
