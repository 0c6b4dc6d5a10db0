"""Says which line follows another: scoring.py MODEL"""

import sys

import leafcutter

LINES = ["白日依山尽，", "床前明月光，", "春眠不觉晓，"]
NEXT = ["黄河入海流。", "疑是地上霜。", "处处闻啼鸟。"]

with leafcutter.Model(sys.argv[1], memory="2GiB", context=256, sequences=8) as model:
    # Any number of pairs share the readings of the model; answers come in the order of the pairs.
    pairs = [(line, following) for line in LINES for following in NEXT]
    scores = iter(model.map(pairs, kind="score"))
    for line in LINES:
        logprobs = [next(scores).logprob for _ in NEXT]
        best = max(range(len(NEXT)), key=logprobs.__getitem__)
        print(line, NEXT[best], " ".join(f"{value:.2f}" for value in logprobs))
