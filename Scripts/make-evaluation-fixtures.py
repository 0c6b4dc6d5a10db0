#!/usr/bin/env python3
"""Make Tests/Golden/evaluation/metrics.json: what well-kept libraries make of made-up texts, rankings and sums.

    pip install rouge-score==0.1.2 sacrebleu==2.6.0 nltk==3.10.4 scikit-learn==1.9.1
    python3 Scripts/make-evaluation-fixtures.py Tests/Golden

ROUGE is rouge-score's with characters for tokens, BLEU sacreBLEU's with tokenize="char", Distinct counts nltk's n-grams,
nDCG is scikit-learn's. The same versions give the same file.
"""
import fractions
import json
import pathlib
import random
import re
import sys

import numpy
from nltk.util import ngrams
from rouge_score import rouge_scorer, tokenizers
from sacrebleu.metrics import BLEU
from sklearn.metrics import ndcg_score

WRITTEN = [
    ("白日依山尽，黄河入海流。", "白日依山尽，黄河入海流。"),
    ("黄河入海流。白日依山尽，", "白日依山尽，黄河入海流。"),
    ("今天天气很好，我们去公园。", "今天的天气真不错，我们一起去公园玩。"),
    ("这部电影是2010年上映的，导演是 Christopher Nolan。", "《盗梦空间》于2010年上映，由Christopher Nolan执导。"),
    ("好", "好的，谢谢你"),
    ("的的的的的的", "我的书是你的"),
    ("完全不同", "毫无共同之处"),
    ("", "什么也没有说"),
    ("全角　空格 和\t制表符\n换行", "全角空格和制表符换行"),
    ("一😀二😀", "一二😀"),
]
CORPUS = "".join(reference for _, reference in WRITTEN)


class Characters(tokenizers.Tokenizer):
    def tokenize(self, text):
        return [character for character in text if not character.isspace()]


def made_up(source):
    """A reference, and a text that is it with some characters changed, dropped and moved."""
    start = source.randrange(len(CORPUS) - 30)
    reference = CORPUS[start:start + source.randrange(5, 30)]
    text = [source.choice(CORPUS) if source.random() < 0.2 else character
            for character in reference if source.random() > 0.15]
    if source.random() < 0.3:
        cut = source.randrange(len(text) + 1)
        text = text[cut:] + text[:cut]
    return "".join(text), reference


def text_metrics(pairs):
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Characters())
    scores = [scorer.score(reference, text) for text, reference in pairs]
    metrics = {name: float(numpy.mean([score[name].fmeasure for score in scores]))
               for name in ("rouge1", "rouge2", "rougeL")}
    texts, references = [text for text, _ in pairs], [[reference for _, reference in pairs]]
    for order in range(1, 5):
        bleu = BLEU(tokenize="char", max_ngram_order=order)
        metrics[f"bleu{order}"] = bleu.corpus_score(texts, references).score / 100
    for order in (1, 2):
        all_of_them = [ngram for text in texts for ngram in ngrams(Characters().tokenize(text), order)]
        metrics[f"distinct{order}"] = len(set(all_of_them)) / len(all_of_them) if all_of_them else 0
    return metrics


def ranking(source):
    """Lines of some queries: scores that sometimes tie, and relevances that are sometimes all 0."""
    lines = []
    for query in range(source.randrange(1, 5)):
        relevant = source.random() < 0.8
        for _ in range(source.randrange(2, 15)):
            lines.append([f"q{query}", source.choice([source.gauss(0, 1), float(source.randrange(3))]),
                          source.choice([0, 0, 1, 2, 0.5]) if relevant else 0])
    source.shuffle(lines)
    return lines


def ranking_metrics(lines):
    metrics = {}
    for cutoff in (1, 5, 10, None):
        gains = []
        for query in sorted({line[0] for line in lines}):
            scores = [line[1] for line in lines if line[0] == query]
            wanted = [line[2] for line in lines if line[0] == query]
            gains.append(ndcg_score([wanted], [scores], k=cutoff))
        metrics["ndcg" if cutoff is None else f"ndcg@{cutoff}"] = float(numpy.mean(gains))
    return metrics


def sum_value(text):
    """Python's own arithmetic, exact where it can be."""
    text = text.removeprefix("x=").replace("×", "*").replace("÷", "/")
    text = re.sub(r"(\d)\(", r"\1+(", text)
    text = re.sub(r"([\d.]+)", r"number('\1')", text).replace("%", "/100").replace("^", "**")
    return float(eval(text, {"number": fractions.Fraction}))


SUMS = ["x=(11-1)*2", "20", "25%", "120*25%", "3+(1/2)", "5^2", "2^3^2", "-2^2", "7-2-1", "8/4/2", "x=(3.5+1.5)*(4-2)/5", "100÷8×2",
        "1-(1/3)-(1/4)", "((((7))))", "-(3-5)", "150%", "2*-3", "0.1+0.2"]
MIXED = {"3(1/2)": 3.5, "1(1/4)+2(3/4)": 4.0, "x= 2 ( 1 / 2 ) * 2": 5.0, "（1+2）×3": 9.0}
NO_SUMS = ["", "x=", "苹果", "3+", "(1+2", "1)", "1/0", "2**3", "1 2 a", "3..5", "(" * 500, "9^9^9^9", "--" * 300 + "1"]


def main():
    source = random.Random(8)
    corpora = [WRITTEN, [("", "一"), ("", "二三")], [("好", "好")], [("一二三", "一三二")]]
    corpora += [[made_up(source) for _ in range(source.randrange(1, 12))] for _ in range(20)]
    rankings = [ranking(source) for _ in range(30)]
    golden = {
        "corpora": [{"pairs": pairs, "metrics": text_metrics(pairs)} for pairs in corpora],
        "rankings": [{"lines": lines, "metrics": ranking_metrics(lines)} for lines in rankings],
        "sums": [{"text": text, "value": sum_value(text)} for text in SUMS]
        + [{"text": text, "value": value} for text, value in MIXED.items()]
        + [{"text": text, "value": None} for text in NO_SUMS],
    }
    path = pathlib.Path(sys.argv[1]) / "evaluation" / "metrics.json"
    path.write_text(json.dumps(golden, ensure_ascii=False, indent=None, separators=(",", ":")) + "\n")


main()
