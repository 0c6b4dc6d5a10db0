"""What is refused, and how."""

import os
import pickle
import subprocess
import sys

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


def test_what_is_no_text_is_refused(model):
    for call in (
        lambda: model.generate(None), lambda: model.generate(1.5), lambda: model.generate([1.5]),
        lambda: model.generate(["a"]), lambda: model.map("春"), lambda: model.map({"prompt": "春"}),
        lambda: model.generate("春", stop=object()), lambda: next(model.map([("a", "b", "c")], kind="score")),
        lambda: model.choose("春", "风"), lambda: model.logits("春"),
    ):
        with pytest.raises(TypeError):
            call()


def test_a_call_that_makes_no_sense_says_so(model):
    for options, word in (
        ({"max_tokenz": 1}, "max_tokens"), ({"temperature": -1}, "temperature"), ({"top_p": float("nan")}, "JSON"),
        ({"n": 0}, "n"), ({"greedy": True, "beams": 2}, "beams"),
    ):
        with pytest.raises(leafcutter.UsageError, match=word) as raised:
            model.complete(POEM, **options)
        assert isinstance(raised.value, ValueError) and raised.value.code == "usage"


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
