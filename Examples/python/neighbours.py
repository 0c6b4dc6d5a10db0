"""Finds the lines that are nearest to a line: neighbours.py MODEL [LINE]"""

import sys

import leafcutter
import numpy as np

LINES = [
    "床前明月光，疑是地上霜。", "举头望明月，低头思故乡。", "春眠不觉晓，处处闻啼鸟。", "夜来风雨声，花落知多少。",
    "白日依山尽，黄河入海流。", "欲穷千里目，更上一层楼。", "千山鸟飞绝，万径人踪灭。", "孤舟蓑笠翁，独钓寒江雪。",
    "月落乌啼霜满天，江枫渔火对愁眠。", "姑苏城外寒山寺，夜半钟声到客船。",
]
question = sys.argv[2] if len(sys.argv) > 2 else "海上生明月，天涯共此时。"


def normalized(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


with leafcutter.Model(sys.argv[1], memory="2GiB", context=256) as model:
    # [lines, width]; what all texts have in common says nothing.
    vectors = model.embed([*LINES, question])
    vectors = normalized(vectors - vectors.mean(axis=0))
    similarity = vectors[:-1] @ vectors[-1]
    for at in np.argsort(-similarity)[:3]:
        print(f"{similarity[at]:+.3f}  {LINES[at]}")
