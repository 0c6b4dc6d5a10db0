#!/usr/bin/env python3
"""Generates with AirLLM on the processor; one JSON object with the seconds of each token.

    air_generate.py FOLDER --dtype float16 --rows 128 --tokens 4
"""

import argparse
import json
import time

import torch
import airllm

import measure


class WithoutTokenizer(airllm.AirLLMBaseModel):
    """What `airllm.AutoModel` makes for a llama; the random model has no tokenizer."""

    def get_tokenizer(self, hf_token=None):
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(measure.cores())

    start = time.monotonic()
    # It splits the checkpoint into a file a layer beside it, the first time.
    model = WithoutTokenizer(arguments.folder, device="cpu", dtype=getattr(torch, arguments.dtype))
    loaded = time.monotonic()
    ids = torch.randint(model.config.vocab_size, (1, arguments.rows), generator=torch.Generator().manual_seed(1))
    past, times = None, [loaded]
    with torch.inference_mode():
        for _ in range(arguments.tokens):
            answer = model(ids, past_key_values=past, use_cache=True)
            past, ids = answer.past_key_values, answer.logits[:, -1:].argmax(-1)
            times.append(time.monotonic())
    seconds = [after - before for before, after in zip(times, times[1:])]
    print()
    print(json.dumps({"load": loaded - start, "prefill_seconds": seconds[:1], "decode_seconds": seconds[1:]}))


if __name__ == "__main__":
    main()
