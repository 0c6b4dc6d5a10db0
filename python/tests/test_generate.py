"""Texts, as they are generated and whole."""

import threading

import numpy as np
import pytest
from conftest import POEM

import leafcutter


def test_a_seed_gives_the_command_s_ids(model, command):
    for seed in (1, 2, 3):
        [expected] = command("generate", POEM, "--seed", seed, "--json")
        answer = model.complete(POEM, seed=seed)
        assert (answer.ids, answer.text) == (expected["ids"], expected["text"])
        assert (answer.seed, answer.finish_reason) == (seed, expected["finish_reason"])
        assert answer.prompt_tokens == expected["prompt_tokens"]


def test_pieces_are_the_answer(model):
    stream = model.generate(POEM, seed=4)
    pieces = list(stream)
    answer = stream.answer
    assert "".join(piece.text for piece in pieces) == answer.text
    assert [piece.id for piece in pieces if piece.id is not None] == answer.ids
    assert answer.choices == [leafcutter.Sample(answer.text, answer.ids, answer.finish_reason)]
    assert answer.timing.sweeps > 0 and answer.memory.peak > 0 and answer.io.mode


def test_ids_are_a_prompt_as_a_list_and_as_an_array(model):
    text = model.complete(POEM, greedy=True)
    ids = [6] + model.tokenize(POEM)
    for given in (ids, tuple(ids), np.array(ids), np.array(ids, np.int16)):
        assert model.complete(given, greedy=True).ids == text.ids


def test_samples_have_pieces_of_their_own(model):
    stream = model.generate(POEM, n=3, seed=5, max_tokens=8, top_p=1.0, temperature=1.5)
    ids = [[], [], []]
    for piece in stream:
        if piece.id is not None:
            ids[piece.sample].append(piece.id)
    assert ids == [choice.ids for choice in stream.answer.choices]


def test_log_probabilities_come_with_pieces_and_answer(model):
    stream = model.generate(POEM, greedy=True, logprobs=2, max_tokens=5)
    pieces = [piece for piece in stream if piece.id is not None]
    tokens = stream.answer.logprobs
    assert [(piece.id, piece.logprob) for piece in pieces] == [(token.id, token.logprob) for token in tokens]
    for token in tokens:
        # Greedily the best of two is the token itself.
        assert token.top[0] == (token.id, token.logprob) and len(token.top) == 2


def test_beams_have_scores(model, command):
    [expected] = command("generate", POEM, "--beams", 3, "--json")
    answer = model.complete(POEM, beams=3)
    assert [choice.ids for choice in answer.choices] == [choice["ids"] for choice in expected["choices"]]
    assert [choice.score for choice in answer.choices] == [choice["score"] for choice in expected["choices"]]


def test_leaving_the_loop_cancels(slow_model):
    for _ in range(20):
        stream = slow_model.generate(POEM)
        stream.close()
        assert list(stream) == []
        with pytest.raises(leafcutter.UsageError):
            _ = stream.answer


def test_a_stream_that_is_forgotten_is_freed(model):
    for piece in model.generate(POEM, greedy=True):
        request = None
        break
    stream = model.generate(POEM, greedy=True)
    request = stream.request
    with stream:
        next(stream)
    assert not request._free.alive


def test_cancel_from_another_thread_ends_a_wait(slow_model):
    stream = slow_model.generate(POEM)
    threading.Timer(0.2, stream.cancel).start()
    with pytest.raises(leafcutter.Cancelled):
        next(stream)


def test_closing_the_model_ends_its_requests(model_path, least):
    model = leafcutter.Model(model_path, memory=least, context=256, max_read_rate="20kB/s")
    stream = model.generate(POEM)
    threading.Timer(0.2, model.close).start()
    with pytest.raises((leafcutter.Cancelled, leafcutter.UsageError)):
        next(stream)
    assert model.is_closed
    with pytest.raises(leafcutter.UsageError):
        model.generate(POEM)


def test_two_threads_share_a_stream(model):
    whole = model.complete(POEM, greedy=True)
    stream = model.generate(POEM, greedy=True)
    pieces, lock = [], threading.Lock()

    def read():
        for piece in stream:
            with lock:
                pieces.append(piece.id)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one for one in pieces if one is not None) == sorted(whole.ids)


def test_many_threads_get_the_same_bytes(model):
    seeds = range(8)
    expected = {seed: model.complete(POEM, seed=seed).ids for seed in seeds}
    found = {}

    def ask(seed):
        found[seed] = model.complete(POEM, seed=seed).ids

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_what_the_vocabulary_lacks_is_named(model):
    for answer in (
        model.complete("春🦀眠🐺🦀", max_tokens=1), model.fill("春🦀<blank:1>🐺🦀"), model.score("春🦀", "眠🐺"),
        model.choose("春🦀", ["眠", "🐺"], rule="likelihood"), model.perplexity("春🦀眠🐺"),
        *model.map(["🦀春🐺"], max_tokens=1),
    ):
        assert answer.unknown == ("🦀", "🐺")
    for answer in (model.complete("春", max_tokens=1), model.fill("春<blank:1>"), model.score("春", "眠")):
        assert answer.unknown == ()


def test_blanks_are_filled_as_by_the_command(model, command):
    text = "《静夜思》李白\n床前<blank:2>光，疑是地上霜，\n举头望明月，低头思<blank>。"
    [expected] = command("fill", text, "--json")
    filling = model.fill(text)
    assert (filling.text, filling.ids) == (expected["text"], expected["ids"])
    assert [vars(blank) for blank in filling.blanks] == expected["blanks"]
    for blank in filling.blanks:
        assert filling.ids[blank.start : blank.start + len(blank.ids)] == blank.ids
