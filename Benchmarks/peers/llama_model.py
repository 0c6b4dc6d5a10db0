#!/usr/bin/env python3
"""Writes a llama-shaped model of random weights as a GGUF file, at the disk's speed, in the memory of one piece.

    llama_model.py OUT.gguf [--layers 48] [--weights Q8_0|Q4_0]

The token table is Q8_0 in any case, as Leafcutter's is int8.

The widths are CPM-Ant's of 10 billion parameters: rows of 4096, 32 heads of 128, a gated feed-forward of 10240, 30720 tokens,
the token table used for the logits as well. llama.cpp has no CPM-Ant; what it computes here costs the same products.
"""

import argparse
import os
import pathlib

import gguf
import numpy as np

DIM, HEADS, FEED_FORWARD, VOCABULARY, CONTEXT = 4096, 32, 10240, 30720, 2048
# 32 numbers: a scale, and bytes (Q8_0) or codes 8 above the numbers, two a byte (Q4_0).
BLOCKS = {"Q8_0": np.dtype([("scale", "<f2"), ("values", "i1", 32)]),
          "Q4_0": np.dtype([("scale", "<f2"), ("values", "u1", 16)])}
LARGEST = {"Q8_0": 127, "Q4_0": 8}
PIECE_BLOCKS = 1 << 20
SEED = 1


def tensors(layers):
    """Names and shapes, `[rows, columns]`, in the order in which a token meets them; one dimension is float32."""
    yield "token_embd.weight", (VOCABULARY, DIM)
    for i in range(layers):
        yield f"blk.{i}.attn_norm.weight", (DIM,)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"blk.{i}.{name}.weight", (DIM, DIM)
        yield f"blk.{i}.ffn_norm.weight", (DIM,)
        for name in ("ffn_gate", "ffn_up"):
            yield f"blk.{i}.{name}.weight", (FEED_FORWARD, DIM)
        yield f"blk.{i}.ffn_down.weight", (DIM, FEED_FORWARD)
    yield "output_norm.weight", (DIM,)


def kind_of(name, weights):
    return "Q8_0" if name == "token_embd.weight" else weights


def stored_bytes(name, shape, weights):
    return 4 * shape[0] if len(shape) == 1 else shape[0] * shape[1] // 32 * BLOCKS[kind_of(name, weights)].itemsize


def byte_count(layers, weights="Q8_0"):
    return sum(stored_bytes(name, shape, weights) for name, shape in tensors(layers))


def header(path, layers, weights):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"random, {layers} layers")
    writer.add_block_count(layers)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(DIM)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(DIM // HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{weights}"])
    writer.add_tokenizer_model("none")
    for name, shape in tensors(layers):
        count = stored_bytes(name, shape, weights)
        if len(shape) == 1:
            writer.add_tensor_info(name, shape, np.dtype("float32"), count)
        else:
            writer.add_tensor_info(
                name, (shape[0], count // shape[0]), np.dtype("uint8"), count,
                raw_dtype=gguf.GGMLQuantizationType[kind_of(name, weights)])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    alignment = writer.data_alignment
    writer.close()
    return alignment


def pieces(shape, kind, bits):
    """Blocks of uniform values whose deviation is 1 / sqrt(columns), as the rows of a trained matrix have it about."""
    if len(shape) == 1:
        yield np.ones(shape, "<f4")
        return
    blocks = np.empty(PIECE_BLOCKS, BLOCKS[kind])
    blocks["scale"] = 1 / (np.sqrt(shape[1]) * (LARGEST[kind] / np.sqrt(3)))
    width = blocks["values"].shape[1]
    left = shape[0] * shape[1] // 32
    while left > 0:
        count = min(left, PIECE_BLOCKS)
        values = bits.random_raw(count * width // 8).view(blocks["values"].dtype).reshape(count, width)
        blocks["values"][:count] = np.maximum(values, -127) if kind == "Q8_0" else values
        yield blocks[:count]
        left -= count


def write(path, layers, weights="Q8_0"):
    part = path.with_name(path.name + ".part")
    alignment = header(part, layers, weights)
    bits = np.random.SFC64(SEED)
    with part.open("r+b") as out:
        out.seek(0, os.SEEK_END)
        for name, shape in tensors(layers):
            out.write(bytes(-out.tell() % alignment))
            for piece in pieces(shape, kind_of(name, weights), bits):
                out.write(piece.data)
        out.write(bytes(-out.tell() % alignment))
        out.flush()
        os.fsync(out.fileno())
    part.rename(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=48)
    parser.add_argument("--weights", choices=BLOCKS, default="Q8_0")
    arguments = parser.parse_args()
    write(arguments.out, arguments.layers, arguments.weights)
