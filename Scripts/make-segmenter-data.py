#!/usr/bin/env python3
"""Turns jieba's dictionary and HMM tables into Sources/CTokenizerData/data/segmenter.bin.

    pip install jieba==0.42.1
    python3 Scripts/make-segmenter-data.py [OUTPUT]

The form is described in Sources/LeafTokenizer/SegmenterData.swift, which reads it. The same
jieba gives the same bytes. Logarithms are taken here, once, so that no reader depends on the
last bit of its own libm. jieba is MIT-licensed; see NOTICE.
"""

import collections
import importlib.metadata
import math
import pathlib
import re
import struct
import sys

import jieba
from jieba.finalseg.prob_emit import P as EMISSION
from jieba.finalseg.prob_start import P as START
from jieba.finalseg.prob_trans import P as TRANSITION

MAGIC = b"LEAFSEGM"
VERSION = 1
STATES = "BEMS"
PREDECESSORS = {"B": "ES", "E": "BM", "M": "BM", "S": "ES"}
# What jieba looks up in its dictionary; other characters are words of their own.
BLOCK = re.compile(r"[\u4E00-\u9FD5a-zA-Z0-9+#&._%\-]+")
HAN = range(0x4E00, 0x9FD5 + 1)


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def doubles(values):
    return struct.pack(f"<{len(values)}d", *values)


def by_popularity(items):
    """Distinct items, the most frequent first, so that frequent ones get short numbers."""
    counts = collections.Counter(items)
    return sorted(counts, key=lambda item: (-counts[item], item))


def read_dictionary(path):
    """word -> frequency (a later line wins), and the total over all lines, as jieba counts it."""
    frequency, total = {}, 0
    for line in path.read_text(encoding="utf-8").splitlines():
        word, count = line.split(" ")[:2]
        frequency[word] = int(count)
        total += int(count)
    return frequency, total


def trie_section(frequency, total):
    words = {word: count for word, count in frequency.items() if count > 0 and BLOCK.fullmatch(word)}
    unreachable = sorted(frequency.keys() - words.keys())
    root = {}
    node_characters = []
    for word in words:
        node = root
        for character in word:
            if character not in node:
                node[character] = {}
                node_characters.append(character)
            node = node[character]
        node[None] = words[word]

    alphabet = by_popularity(node_characters)
    code = {character: index for index, character in enumerate(alphabet)}
    # Number 0 stands for "no word ends here"; its weight is that of a character without a word.
    counts = [1] + by_popularity(words.values())
    number = {count: index for index, count in enumerate(counts) if index > 0}
    weights = [math.log(count) - math.log(total) for count in counts]

    records = bytearray()
    level = [root]
    while level:
        below = []
        for node in level:
            children = sorted((code[c], child) for c, child in node.items() if c is not None)
            previous = -1
            for label, child in children:
                has_children = any(key is not None for key in child)
                is_last = label == children[-1][0]
                records += varint(label - previous - 1)
                weight = number[child[None]] if None in child else 0
                records += varint(weight << 2 | has_children << 1 | is_last)
                previous = label
                below.append(child)
        level = below
    return alphabet, weights, len(node_characters), bytes(records), unreachable


def emission_section():
    characters = sorted({c for state in STATES for c in EMISSION[state] if ord(c) in HAN})
    values = by_popularity(EMISSION[state][c] for c in characters for state in STATES if c in EMISSION[state])
    number = {value: index for index, value in enumerate(values)}
    records = bytearray()
    previous = HAN.start - 1
    for character in characters:
        present = [state for state in STATES if character in EMISSION[state]]
        records += varint(ord(character) - previous - 1)
        records.append(sum(1 << STATES.index(state) for state in present))
        for state in present:
            records += varint(number[EMISSION[state][character]])
        previous = ord(character)
    return values, len(characters), bytes(records)


def main():
    if importlib.metadata.version("jieba") != "0.42.1":
        sys.exit("this needs jieba 0.42.1; pip install jieba==0.42.1")
    frequency, total = read_dictionary(pathlib.Path(jieba.__file__).with_name("dict.txt"))
    alphabet, weights, node_count, trie, unreachable = trie_section(frequency, total)
    values, emitted, emission = emission_section()
    transitions = [TRANSITION[before][state] for state in STATES for before in PREDECESSORS[state]]

    body = struct.pack(f"<{len(alphabet)}H", *map(ord, alphabet))
    body += doubles(weights) + doubles([START[state] for state in STATES]) + doubles(transitions)
    body += doubles(values) + emission + trie
    header = MAGIC + struct.pack(
        "<7I", VERSION, 36 + len(body), len(alphabet), len(weights), node_count, len(values), emitted)

    default = pathlib.Path(__file__).parent.parent / "Sources/CTokenizerData/data/segmenter.bin"
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    output.write_bytes(header + body)
    print(f"{output}: {36 + len(body)} bytes, {node_count} nodes, {len(alphabet)} characters, {len(weights)} weights, "
          f"{emitted} emitting characters; left out, as no text reaches them: {' '.join(unreachable)}")


if __name__ == "__main__":
    main()
