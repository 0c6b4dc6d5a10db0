"""Any number of requests, in order."""

import concurrent.futures
import itertools

import numpy as np
import pytest
from conftest import POEM

import leafcutter


def test_answers_come_in_order_and_are_those_of_single_calls(model):
    prompts = [POEM, "春", "《静夜思》李白\n", "月落乌啼霜满天，", "人", "山"]
    alone = [model.complete(prompt, greedy=True, max_tokens=10).ids for prompt in prompts]
    together = [answer.ids for answer in model.map(prompts, greedy=True, max_tokens=10)]
    assert together == alone


def test_only_what_is_under_way_is_taken_from_the_input(model):
    taken = 0

    def prompts():
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield {"prompt": "春", "seed": number}

    answers = model.map(prompts(), max_tokens=2)
    assert taken == 0, "nothing is taken before an answer is wanted"
    for done, answer in enumerate(itertools.islice(answers, 50), 1):
        assert answer.seed == done - 1
        assert taken <= done + 2 * model.sequences
    answers.close()


def test_leaving_a_map_cancels_the_rest(slow_model):
    def prompts():
        yield "春"
        raise KeyboardInterrupt

    # Whoever interrupts has no use for the answers before it.
    with pytest.raises(KeyboardInterrupt):
        next(slow_model.map(prompts(), max_tokens=2))
    assert slow_model.tokenize("春")


def test_a_request_s_own_options_stand_before_the_common_ones(model):
    short, long = model.map([{"prompt": POEM, "max_tokens": 2}, POEM], max_tokens=5, greedy=True)
    assert (len(short.ids), len(long.ids)) == (2, 5)


@pytest.mark.parametrize("bad", [None, 7, {"prompt": POEM, "max_tokens": "many"}, {"prompt": POEM, "nonsense": 1},
                                 {"prompt": POEM, "max_tokens": 100_000}])
def test_a_request_that_fails_raises_when_its_turn_comes(model, bad):
    answers = model.map(["春", "夏", bad, "秋"], greedy=True, max_tokens=2)
    assert [next(answers).ids for _ in "春夏"] == [model.complete(text, greedy=True, max_tokens=2).ids for text in "春夏"]
    with pytest.raises((TypeError, leafcutter.Error)):
        next(answers)
    assert next(answers, None) is None


def test_an_input_that_fails_raises_behind_its_answers(model):
    def prompts():
        yield from "春夏秋"
        raise OSError("the disk is gone")

    answers = model.map(prompts(), greedy=True, max_tokens=2)
    assert all(len(next(answers).ids) == 2 for _ in range(3))
    with pytest.raises(OSError, match="the disk is gone"):
        next(answers)


def test_every_kind_can_be_mapped(model):
    pairs = [("白日依山尽，", "黄河"), {"context": "春", "target": "风"}]
    assert list(model.map(pairs, kind="score")) == [model.score("白日依山尽，", "黄河"), model.score("春", "风")]
    [choice] = model.map([{"input": "春", "options": ["风", "雨"], "rule": "likelihood"}], kind="score")
    assert choice == model.choose("春", ["风", "雨"], rule="likelihood")
    assert list(model.map(["春风"], kind="perplexity", context=64)) == [model.perplexity("春风", context=64)]
    [filled] = model.map(["床前<blank:1>光"], kind="fill")
    assert filled.ids == model.fill("床前<blank:1>光").ids
    [vector] = model.map(["春风"], kind="embed")
    assert np.array_equal(vector, model.embed("春风"))
    with pytest.raises(leafcutter.UsageError, match="there is no kind 'poem'"):
        model.map([], kind="poem")


def test_progress_counts_what_is_done(model):
    seen = []
    list(model.map(["春", "夏", "秋"], max_tokens=1, progress=lambda done, total: seen.append((done, total))))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    seen.clear()
    list(model.map(iter(["春"]), max_tokens=1, progress=lambda done, total: seen.append((done, total))))
    assert seen == [(1, None)]


def test_a_model_with_room_for_one_text_answers_them_one_after_the_other(model, model_path):
    prompts = [POEM, "春", "月落乌啼霜满天，"]
    expected = [model.complete(prompt, greedy=True, max_tokens=6).ids for prompt in prompts]
    with leafcutter.Model(model_path, memory="128MiB", context=256) as single:
        assert single.sequences == 1
        assert [answer.ids for answer in single.map(prompts, greedy=True, max_tokens=6)] == expected
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda prompt: single.complete(prompt, greedy=True, max_tokens=6).ids, prompts * 8))
        assert found == expected * 8
        with pytest.raises(leafcutter.Error, match="sequences"):
            single.complete(POEM, n=2)


def test_more_at_once_than_the_model_holds(model):
    maps = [model.map(itertools.repeat("春", 40), greedy=True, max_tokens=1) for _ in range(8)]
    answers = [list(answers) for answers in maps]
    assert all(len(one) == 40 for one in answers)
    assert len({tuple(answer.ids) for one in answers for answer in one}) == 1
