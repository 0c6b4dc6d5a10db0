"""What is refused, and how."""

import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import MEMORY, POEM, REPOSITORY

import leafcutter


def test_bytes_are_no_text(model):
    for call in (
        lambda: model.generate(b"x"), lambda: model.fill(b"x"), lambda: model.score("x", b"x"),
        lambda: model.embed(b"x"), lambda: model.embed(["x", b"x"]), lambda: model.tokenize(bytearray(b"x")),
        lambda: model.logits(b"\x06"), lambda: model.generate("x", stop=b"x"), lambda: next(model.map([b"x"])),
        lambda: model.map(b"x"), lambda: leafcutter.Model(b"x"), lambda: leafcutter.plan(b"x"),
    ):
        with pytest.raises(TypeError, match="bytes|bytearray"):
            call()


def test_half_a_character_is_refused(model):
    for call in (lambda: model.generate("\ud800"), lambda: model.tokenize("a\udfff"), lambda: model.embed(["\ud800"])):
        with pytest.raises(leafcutter.BadInputError, match="half a character") as raised:
            call()
        assert isinstance(raised.value, ValueError)


def test_half_a_character_is_refused_wherever_a_text_goes_in(model, model_path, tmp_path):
    bad = "x\ud800.leaf"
    job = {"requests": tmp_path / "in.jsonl", "answers": tmp_path / "out.jsonl"}
    for call in (
        lambda: leafcutter.Model(bad), lambda: leafcutter.Model(model_path, mirror=bad),
        lambda: leafcutter.Model(model_path, deltas={bad: "x"}), lambda: leafcutter.Model(model_path, speculate=bad),
        lambda: leafcutter.Model(model_path, **{bad: 1}), lambda: leafcutter.Model(model_path, memory=bad),
        lambda: leafcutter.plan(bad), lambda: leafcutter.verify(bad), lambda: leafcutter.convert(bad, "x"),
        lambda: leafcutter.convert("x", bad), lambda: leafcutter.convert("x", "y", vocab=bad),
        lambda: leafcutter.batch(bad, **job), lambda: leafcutter.batch(model_path, bad, job["answers"]),
        lambda: leafcutter.batch(model_path, job["requests"], bad),
        lambda: leafcutter.batch(model_path, **job, errors=bad), lambda: leafcutter.Job(bad, **job),
        lambda: model.score("x", bad), lambda: model.choose("x", [bad]), lambda: model.fill(bad),
        lambda: model.perplexity(bad), lambda: model.complete("x", stop=[bad]), lambda: next(model.map([bad])),
        lambda: model.complete("x", **{bad: 1}),
    ):
        with pytest.raises(leafcutter.BadInputError, match="half a character"):
            call()


def test_a_null_character_is_refused_in_every_path(model_path, tmp_path):
    bad = "x\0.leaf"
    job = {"requests": tmp_path / "in.jsonl", "answers": tmp_path / "out.jsonl"}
    for call in (
        lambda: leafcutter.Model(bad), lambda: leafcutter.Model(model_path, mirror=bad),
        lambda: leafcutter.Model(model_path, deltas=bad), lambda: leafcutter.Model(model_path, deltas={"a": bad}),
        lambda: leafcutter.Model(model_path, prompt_embeddings=bad),
        lambda: leafcutter.Model(model_path, speculate=bad), lambda: leafcutter.plan(bad),
        lambda: leafcutter.convert("x", bad), lambda: leafcutter.convert("x", "y", vocab=bad),
        lambda: leafcutter.batch(model_path, bad, job["answers"]),
        lambda: leafcutter.batch(model_path, **job, errors=bad),
    ):
        with pytest.raises(leafcutter.UsageError, match="null character"):
            call()


def test_what_is_no_text_is_refused(model):
    for call in (
        lambda: model.generate(None), lambda: model.generate(1.5), lambda: model.generate([1.5]),
        lambda: model.generate(["a"]), lambda: model.map("春"), lambda: model.map({"prompt": "春"}),
        lambda: model.generate("春", stop=object()), lambda: next(model.map([("a", "b", "c")], kind="score")),
        lambda: model.choose("春", "风"), lambda: model.logits("春"),
    ):
        with pytest.raises(TypeError):
            call()


def test_a_set_is_no_list_of_ids(model):
    for call in (
        lambda: model.score({6}, {6}), lambda: model.score("春", {6}), lambda: model.perplexity({6}),
        lambda: model.generate({6, 7}), lambda: model.logits(frozenset([6])), lambda: model.detokenize({6}),
        lambda: model.embed([{6}]), lambda: next(model.map([{6, 7}])), lambda: next(model.map([{"input_ids": {6}}])),
        lambda: model.choose("春", {"风", "花"}),
    ):
        with pytest.raises(TypeError, match="has no order"):
            call()


def test_a_kind_that_is_no_text_is_named(model):
    for kind in (np.array([6, 7]), None, 7):
        with pytest.raises(TypeError, match="^kind is"):
            model.map(["a"], kind=kind)


def test_a_call_that_makes_no_sense_says_so(model):
    for options, word in (
        ({"max_tokenz": 1}, "max_tokens"), ({"temperature": -1}, "temperature"),
        ({"top_p": float("nan")}, "top_p is nan"), ({"n": 0}, "n"), ({"greedy": True, "beams": 2}, "beams"),
    ):
        with pytest.raises(leafcutter.UsageError, match=word) as raised:
            model.complete(POEM, **options)
        assert isinstance(raised.value, ValueError) and raised.value.code == "usage"


def test_a_number_that_is_not_finite_is_named_by_its_field(model, model_path):
    nan, inf = float("nan"), float("inf")
    for options, words in (
        ({"acceptance": nan}, "^acceptance is nan; "), ({"memory": nan}, "^memory is nan; "),
        ({"batch": -inf}, "^batch is -inf; "), ({"memory": np.float32("inf")}, "^memory is inf; "),
    ):
        with pytest.raises(leafcutter.UsageError, match=words):
            leafcutter.plan(model_path, **options)
    with pytest.raises(leafcutter.UsageError, match=r"^logit_bias\.7 is nan; "):
        model.complete(POEM, logit_bias={6: 1.0, 7: nan})
    with pytest.raises(leafcutter.UsageError, match="'max_tokens' is 2.5, where a whole number is wanted$"):
        model.complete(POEM, max_tokens=2.5)


def test_numbers_that_make_no_sense_are_refused(model, model_path):
    for options, word in (
        ({"request_bytes": 0}, "request_bytes"), ({"request_bytes": -1}, "request_bytes"), ({"context": 0}, "context"),
        ({"context": -1}, "context"), ({"sequences": 0}, "sequences"), ({"logit_rows": 0}, "logit_rows"),
        ({"threads": 0}, "threads"), ({"threads": -1}, "threads"), ({"draft_tokens": 0}, "drafts"),
        ({"draft_tokens": -1}, "drafts"), ({"max_read_rate": 0}, "max_read_rate"), ({"memory": -1}, "memory"),
        ({"delta_alpha": 0}, "delta"),
    ):
        with pytest.raises(leafcutter.UsageError, match=word):
            leafcutter.Model(model_path, **options)
    for ahead in (0, -1):
        with pytest.raises(leafcutter.UsageError, match="ahead"):
            next(model.answer_lines([], ahead=ahead))
    for ids in ([-1], [20, -(2**31)]):
        with pytest.raises(leafcutter.BadInputError, match="vocabulary"):
            model.detokenize(ids)


def test_an_empty_text_names_no_file(model_path, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"kind":"embed","text":"春"}\n')
    with pytest.raises(leafcutter.UsageError, match="'errors' is an empty text; give the path of a file"):
        leafcutter.batch(model_path, tmp_path / "in.jsonl", tmp_path / "out.jsonl", errors="")
    for option, what in (("mirror", "the path of a file"), ("deltas", "the path"), ("speculate", "auto, off")):
        with pytest.raises(leafcutter.UsageError, match=f"'{option}' is an empty text; give {what}"):
            leafcutter.Model(model_path, **{option: ""})


def test_a_choice_needs_something_to_choose_from(model):
    with pytest.raises(leafcutter.UsageError, match="'options' is an empty list; give at least one text"):
        model.choose("春", [])


def test_a_word_for_drafts_is_suggested(model_path):
    for word, meant in (("ngrams", "ngram"), ("of", "off"), ("Auto", "auto")):
        with pytest.raises(leafcutter.UsageError, match=f"did you mean '{meant}'"):
            leafcutter.Model(model_path, speculate=word)
    with pytest.raises(leafcutter.FileError, match="draft.leaf"):
        leafcutter.Model(model_path, speculate="draft.leaf")
    with pytest.raises(leafcutter.UsageError, match="what other texts have said is for n-grams"):
        leafcutter.Model(model_path, speculate="off", share_ngrams=True)


def test_what_a_model_was_not_opened_for_names_the_option(model):
    with pytest.raises(leafcutter.BudgetError, match="open the model with sequences 9 or more"):
        model.complete("春", n=9, max_tokens=2)


def test_a_missing_file_is_a_file_error(tmp_path):
    with pytest.raises(leafcutter.FileError, match="nothing.leaf") as raised:
        leafcutter.Model(tmp_path / "nothing.leaf")
    assert isinstance(raised.value, OSError) and raised.value.code == "io"
    assert str(raised.value) == raised.value.message


def test_a_damaged_file_is_bad_input(tmp_path):
    path = tmp_path / "broken.leaf"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(leafcutter.BadInputError, match="broken.leaf"):
        leafcutter.Model(path)
    with pytest.raises(leafcutter.UsageError, match="null"):
        leafcutter.Model("a\0b")


def test_a_budget_that_is_too_small_names_one_that_does(model_path):
    with pytest.raises(leafcutter.BudgetError) as raised:
        leafcutter.Model(model_path, memory="44MiB", context=256)
    assert isinstance(raised.value, MemoryError) and raised.value.code == "budget"
    with leafcutter.Model(model_path, memory=raised.value.minimum, context=256) as model:
        assert model.complete(POEM, greedy=True, max_tokens=2).ids
        assert model.memory.peak <= model.memory.budget


def test_a_text_beyond_the_context_names_what_it_needs(model):
    with pytest.raises(leafcutter.BudgetError) as raised:
        model.complete(POEM, max_tokens=1000)
    assert raised.value.code == "too_long"
    assert raised.value.context is None or raised.value.context > 1000


def test_exceptions_cross_processes():
    error = leafcutter.BudgetError("too small", "budget", minimum=7)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is leafcutter.BudgetError
    assert (copy.message, copy.code, copy.minimum) == ("too small", "budget", 7)


def test_models_and_streams_are_not_pickled(model):
    with pytest.raises(TypeError, match="path"):
        pickle.dumps(model)
    with model.generate(POEM) as stream, pytest.raises(TypeError, match="answer"):
        pickle.dumps(stream)


def test_a_closed_model_says_so(model_path):
    model = leafcutter.Model(model_path, memory=MEMORY, context=64, sequences=1)
    model.close()
    model.close()
    assert model.is_closed and "closed" in repr(model)
    for call in (lambda: model.generate("春"), lambda: model.info, lambda: model.tokenize("春")):
        with pytest.raises(leafcutter.UsageError, match="closed"):
            call()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_refused_and_ends(model):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            model.tokenize("春")
        except leafcutter.UsageError as error:
            status = 0 if "fork" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert model.tokenize("春"), "the parent goes on"


def test_an_existing_file_is_not_replaced_unasked(model_path):
    with pytest.raises(leafcutter.Error, match="demo.leaf"):
        leafcutter.convert(REPOSITORY / "Examples" / "demo-model", model_path)


def test_a_library_that_is_missing_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "import leafcutter; leafcutter.plan('x')"], capture_output=True, text=True, check=False,
        env={**os.environ, "LEAFCUTTER_LIBRARY": str(tmp_path / "no.so")},
    )
    assert "ImportError" in done.stderr and "no.so" in done.stderr and "LEAFCUTTER_LIBRARY" in done.stderr


def test_the_memory_that_is_named_for_drafts_does(model_path):
    options = {"context": 128, "sequences": 3, "threads": 1}
    least = leafcutter.plan(model_path, memory="4GiB", disk_rate="1GB/s", **options).minimum

    def mode(memory):
        with leafcutter.Model(model_path, memory=memory, speculate="ngram", **options) as model:
            return model.complete("春", max_tokens=1).speculation["mode"]

    # More memory is more rows of logits as well, which come first.
    for more in range(4):
        told = mode(least + (more << 20))
        found = re.fullmatch(r"off: no room for ngram; for .* it drafts with (\d+) MiB", told)
        assert found or more > 0
        if found:
            assert mode(f"{found[1]}MiB") == "ngram"
