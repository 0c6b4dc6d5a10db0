"""Says which line follows another: scoring.py MODEL"""

import sys

import leafcutter

# In the form that the demo model was trained on: a poem's title and author stand in front of its lines.
LINES = ["《登鹳雀楼》王之涣\n白日依山尽，", "《静夜思》李白\n床前明月光，", "《春晓》孟浩然\n春眠不觉晓，"]
NEXT = ["黄河入海流。", "疑是地上霜。", "处处闻啼鸟。"]

with leafcutter.Model(sys.argv[1], memory="2GiB", context=256, sequences=8) as model:
    # Any number of pairs share the readings of the model; answers come in the order of the pairs.
    pairs = [(line, following) for line in LINES for following in NEXT]
    scores = iter(model.map(pairs, kind="score"))
    for line in LINES:
        # Each token's share, so that a line of more tokens loses nothing by their number.
        means = [score.logprob / len(score.ranks) for score in (next(scores) for _ in NEXT)]
        best = max(range(len(NEXT)), key=means.__getitem__)
        print(line.splitlines()[-1], NEXT[best], " ".join(f"{value:.2f}" for value in means))
