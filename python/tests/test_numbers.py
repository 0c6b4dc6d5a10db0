"""Scores, vectors, logits and words, beside the command's."""

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY

import leafcutter

LINE = "白日依山尽，"
NEXT = "黄河入海流。"


def test_scores_are_the_command_s_to_the_last_digit(model, command):
    pairs = [(LINE, NEXT), (LINE, "欲穷千里目"), ("", LINE)]
    expected = command("score", "--requests", "/dev/stdin",
                       lines=[{"id": i, "context": c, "target": t} for i, (c, t) in enumerate(pairs)])
    for answer in expected:
        score = model.score(*pairs[answer["id"]])
        assert score == leafcutter.Score(answer["logprob"], answer["token_logprobs"], answer["ranks"])


def test_a_score_is_the_sum_over_softmax_of_logits(model):
    # After the first token everything is causal for a score whose context is <s> alone, and a prompt sees itself whole:
    # so only one token, after its context, can be compared.
    context, target = [6] + model.tokenize(LINE), model.tokenize(NEXT)[:1]
    row = model.logits(context)[-1].astype(np.float64)
    logprob = row[target[0]] - np.log(np.exp(row - row.max()).sum()) - row.max()
    assert model.score(context, target).logprob == pytest.approx(logprob, abs=1e-6)


def test_logits_are_the_command_s_bits(model, command, tmp_path):
    ids = [6] + model.tokenize(LINE * 16)
    assert len(ids) > 64, "so that they come in more than one part"
    cases, output = tmp_path / "cases.json", tmp_path / "logits.safetensors"
    cases.write_text(json.dumps({"cases": [{"id": "a", "input_ids": ids, "task": 2, "segment": 2}]}))
    command("logits", "--input", cases, "--output", output)
    content = output.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    entry = json.loads(content[8 : 8 + length])["a"]
    begin, end = entry["data_offsets"]
    expected = np.frombuffer(content[8 + length + begin : 8 + length + end], "<f4").reshape(entry["shape"])
    logits = model.logits(ids, task=2, segment=2)
    assert logits.dtype == np.float32 and logits.shape == (len(ids), 30720)
    assert np.array_equal(logits, expected)
    assert np.array_equal(model.logits(np.array(ids)), expected)
    assert np.array_equal(model.logits(ids, task=2, segment=2, last=True), expected[-1:])


def test_vectors_are_the_command_s_bits(model, command):
    texts = [LINE, NEXT, "月"]
    expected = [np.array(command("embed", text)[0]["embedding"], np.float32) for text in texts]
    vectors = model.embed(texts)
    assert vectors.dtype == np.float32 and vectors.shape == (3, 256)
    assert np.array_equal(vectors, np.stack(expected))
    assert np.array_equal(model.embed(LINE), expected[0])
    normalized = np.array(command("embed", LINE, "--normalize")[0]["embedding"], np.float32)
    assert np.array_equal(model.embed(LINE, normalize=True), normalized)
    assert model.embed([]).shape == (0, 256)


def test_each_token_has_a_vector(model):
    ids = [6] + model.tokenize(LINE)
    [rows] = model.embed([ids], pool="none")
    assert rows.shape == (len(ids), 256)
    assert np.array_equal(model.embed([ids], pool="last")[0], rows[-1])
    np.testing.assert_allclose(model.embed([ids])[0], rows.mean(axis=0), rtol=1e-5, atol=1e-6)


def test_numbers_are_the_caller_s_own(model):
    vector = model.embed(LINE)
    before = vector.copy()
    for _ in range(5):
        model.embed(NEXT)
    vector += 0
    assert np.array_equal(vector, before)


def test_options_are_chosen_as_by_the_command(model, command):
    options = [NEXT, "欲穷千里目，", "床前明月光，"]
    for rule in ("choice", "likelihood"):
        [expected] = command("score", "--requests", "/dev/stdin",
                             lines=[{"id": 1, "input": LINE, "options": options, "rule": rule}])
        choice = model.choose(LINE, options, rule=rule)
        assert (choice.choice, choice.scores) == (expected["choice"], expected["scores"])
    assert model.choose(LINE, options, rule="likelihood").choice == 0


def test_any_text_is_scored_by_a_model_as_it_comes(model_path, command, tmp_path):
    """The window follows the context, and more tokens than there are rows of logits take several readings."""
    long = (LINE + NEXT + "\n") * 60
    text = tmp_path / "long.txt"
    text.write_text(long, "utf-8")
    # The soft prompt has 32 of the context's rows.
    [expected] = command("perplexity", text, "--json", "--context", 512 - 32)
    with leafcutter.Model(model_path, memory="256MiB") as usual:
        assert usual.perplexity(long).logprob == expected["logprob"]
    with leafcutter.Model(model_path, memory="160MiB", logit_rows=7) as narrow:
        assert narrow.perplexity(long).logprob == expected["logprob"]
        found = narrow.score(LINE, NEXT * 3)
        assert len(found.ranks) > 7
        [expected] = command("score", "--requests", "-", lines=[{"context": LINE, "target": NEXT * 3}])
        assert found.token_logprobs == expected["token_logprobs"]


def test_perplexity_is_the_command_s(model, command, tmp_path):
    text = tmp_path / "poem.txt"
    text.write_text(LINE + NEXT, encoding="utf-8")
    [expected] = command("perplexity", text, "--json", "--context", 64)
    found = model.perplexity(LINE + NEXT, context=64)
    assert found.perplexity == expected["perplexity"]
    assert (found.tokens, found.characters) == (expected["tokens"], expected["characters"])


def test_words_go_there_and_back(model, command):
    for text in (LINE, "a b\nc", "", "🙂", "\u0000"):
        ids = model.tokenize(text)
        assert isinstance(ids, list)
        if 1 not in ids:
            assert model.detokenize(ids) == text
            assert model.detokenize(np.array(ids, np.int32)) == text
    [expected] = command("tokenize", LINE, "--json")
    assert model.tokenize(LINE) == expected["ids"]


def test_the_example_knows_which_line_follows(model_path):
    done = subprocess.run(
        [sys.executable, REPOSITORY / "Examples" / "python" / "scoring.py", model_path], capture_output=True,
        check=False, encoding="utf-8", env={**os.environ, "PYTHONUTF8": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert [tuple(line.split()[:2]) for line in done.stdout.splitlines()] == [
        ("白日依山尽，", "黄河入海流。"), ("床前明月光，", "疑是地上霜。"), ("春眠不觉晓，", "处处闻啼鸟。"),
    ]
