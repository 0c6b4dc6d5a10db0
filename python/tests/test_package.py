"""The package itself: library, plan, plot, demo."""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import typing
import warnings

import pytest
from conftest import REPOSITORY

import leafcutter
from leafcutter import _ffi
from leafcutter._errors import check


def test_package_and_library_have_one_version():
    assert _ffi.library().lc_version().decode() == leafcutter.__version__


def test_every_function_of_the_header_is_declared():
    header = (REPOSITORY / "Sources" / "CLibrary" / "include" / "leafcutter.h").read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    assert set(re.findall(r"\b(lc_\w+)\(", code)) == set(_ffi._SIGNATURES)
    values = dict(re.findall(r"\b(LC_[A-Z_]+) = (-?\d+)", code))
    for name in ("OK", "TIMEOUT", "END", "USAGE", "BAD_INPUT", "IO", "BUDGET", "CANCELLED", "CLOSED", "BUSY",
                 "PIECE", "PROGRESS", "RESULT"):
        assert int(values["LC_" + name]) == getattr(_ffi, name)


def test_what_is_exported_is_there_and_documented():
    for name in leafcutter.__all__:
        assert name.startswith("__") or getattr(leafcutter, name).__doc__


def test_a_wheel_names_what_its_library_holds():
    from importlib import metadata

    try:
        files = {file.name for file in metadata.files("leafcutter") or []}
    except metadata.PackageNotFoundError:
        pytest.skip("the package was not installed by its wheel")
    assert {"libleafcutter.so.1", "py.typed", "LICENSE", "NOTICE"} <= files
    assert {"lz4.txt", "xxhash.txt", "zlib.txt", "swift.txt"} <= files
    assert metadata.version("leafcutter") == leafcutter.__version__


@pytest.mark.parametrize("module", ["lm_eval", "ray"])
def test_a_module_without_its_packages_says_how_to_install_them(tmp_path, module):
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{module!r}] = None\n")

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        assert done.returncode == 1 and done.stdout == ""
        return done.stderr.strip()

    sentence = f"leafcutter.{module} needs {module}, which is not installed; pip install 'leafcutter[{module}]'"
    assert run("-m", f"leafcutter.{module}") == sentence
    assert run("-c", f"import leafcutter.{module}").endswith("\nImportError: " + sentence)


def test_a_bar_shows_how_far_a_conversion_is(tmp_path, capfd):
    pytest.importorskip("tqdm")
    leafcutter.convert(REPOSITORY / "Examples" / "demo-model", tmp_path / "a.leaf", progress=True)
    shown = capfd.readouterr()
    assert shown.out == "" and "converting: 100%" in shown.err


def test_a_plan_is_the_one_that_a_model_is_opened_with(model_path):
    plan = leafcutter.plan(model_path, memory="64MiB", context=128, disk_rate="1GB/s")
    assert plan.fits and plan.minimum <= plan.budget == 64 << 20
    assert plan.blocks["total"] == plan.blocks["pinned"] + plan.blocks["streamed"]
    assert plan.predicted["seconds_per_token"] > 0
    assert leafcutter.plan("cpm-ant-10b", memory="1GiB", disk_rate="1GB/s").streamed_bytes_per_sweep > 8e9
    with pytest.raises(leafcutter.BudgetError) as raised:
        leafcutter.plan(model_path, memory="44MiB", context=128, disk_rate="1GB/s")
    assert leafcutter.plan(model_path, memory=raised.value.minimum, context=128, disk_rate="1GB/s").fits


def test_a_plan_with_drafts_is_that_of_the_command(model_path, program):
    given = {"memory": "96MiB", "context": 128, "disk_rate": "100MB/s", "logit_rows": 1}
    drafts = {"speculate": model_path, "draft_tokens": 4, "acceptance": 0.5}
    plan = leafcutter.plan(model_path, **given, **drafts)
    words = [program, "plan", model_path, "--memory", "96MiB", "--context", "128", "--disk-rate", "100MB/s"]
    words += ["--speculate", model_path, "--draft-tokens", "4", "--acceptance", "0.5", "--json", "--quiet"]
    command = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)["speculation"]
    assert plan.speculation.keys() == command.keys()
    # What is measured differs a little, and so does the memory beside drafts.
    for name in ("mode", "acceptance", "acceptance_from", "drafts", "tokens_per_sweep", "lent_blocks"):
        assert plan.speculation[name] == command[name], name
    assert plan.speculation["mode"] == str(model_path) and plan.speculation["drafts"] == 4
    assert plan.speculation["acceptance_from"] == "given" and plan.speculation["acceptance"] == 0.5
    assert 1 < plan.speculation["tokens_per_sweep"] < 2.5
    assert leafcutter.plan(model_path, **given).speculation == {}
    for options, what in (({"acceptance": 0.5}, "nothing guesses"), ({"draft_tokens": 2}, "something that guesses")):
        with pytest.raises(leafcutter.UsageError, match=f"{what}; set speculate to ngram or MODEL.leaf"):
            leafcutter.plan(model_path, **given, **options)
    for speculate in (None, "off", model_path):
        with pytest.raises(leafcutter.UsageError, match="what other texts have said is for n-grams"):
            leafcutter.plan(model_path, **given, speculate=speculate, share_ngrams=True)
    assert leafcutter.plan(model_path, **given, speculate="ngram", share_ngrams=True).speculation["mode"] == "ngram"
    with pytest.raises(leafcutter.UsageError, match="2.0 is not between 0 and 1"):
        leafcutter.plan(model_path, **given, speculate="ngram", acceptance=2)


def said(name, *arguments):
    """What a function of the library says in JSON, with nothing left out."""
    text = ctypes.c_void_p()
    check(getattr(_ffi.library(), name)(*arguments, ctypes.byref(text)))
    return json.loads(_ffi.take_string(text))


def expect_named(kind, fields):
    """A dataclass or a TypedDict has a name for everything that the library says."""
    hints = typing.get_type_hints(kind)
    assert fields.keys() <= hints.keys(), f"{kind.__name__} lacks {fields.keys() - hints.keys()}"
    for name, value in fields.items():
        if hasattr(hints[name], "__total__"):
            expect_named(hints[name], value)
        for one in value if isinstance(value, list) else []:
            expect_named(typing.get_args(hints[name])[0], one)


def test_a_plan_has_all_that_the_library_says(model_path, program, tmp_path):
    draft, text = shutil.copy(model_path, tmp_path / "draft.leaf"), tmp_path / "text"
    text.write_text("《登鹳雀楼》王之涣\n" * 6, "utf-8")
    words = [program, "generate", model_path, "--prompts", text, "--memory", "128MiB", "--quiet"]
    words += ["--max-tokens", "40", "--speculate", draft, "--draft-tokens", "4", "--keep-acceptance"]
    subprocess.run(words, capture_output=True, check=True)
    given = {"context": 128, "disk_rate": "100MB/s"}
    given["memory"] = leafcutter.plan(model_path, memory="4GiB", **given).minimum
    for drafts in ({}, {"speculate": "ngram"}, {"speculate": str(draft), "draft_tokens": 4}):
        options = {**given, **drafts}
        fields = said("lc_plan", os.fsencode(model_path), json.dumps(options).encode())
        plan = leafcutter.plan(model_path, **options)
        expect_named(leafcutter.Plan, fields)
        assert all(getattr(plan, name) is not None for name in fields)
        assert len(plan.with_more_memory) == len(fields["with_more_memory"]) > 0
        assert (plan.context, plan.minimum, plan.parts) == (128, fields["minimum"], fields["parts"])
        assert bool(plan.speculation) == bool(drafts)
        budgets = [forecast.budget for forecast in plan.with_more_memory]
        assert budgets == sorted(budgets) and all(budget > plan.budget for budget in budgets)
        for forecast in plan.with_more_memory:
            assert (forecast.speculative_seconds_per_token is None) == (not drafts)
    # With everything that it may say where enough was kept.
    assert plan.speculation["acceptance_from"] == "kept"
    assert plan.speculation["acceptance_file"] == f"{draft}.acceptance"
    names = typing.get_type_hints(leafcutter.DraftForecast).keys() - {"acceptance_guesses_needed"}
    assert fields["speculation"].keys() == names


def test_answers_and_models_have_all_that_the_library_says(model, model_path, tmp_path):
    info = model.info
    expect_named(leafcutter.Plan, info["plan"])
    assert all(getattr(model.plan, name) == value for name, value in info["plan"].items())
    expect_named(leafcutter.Speculation, info["speculation"])
    assert info["warnings"] == []
    assert model.complete("春", max_tokens=2).speculation.keys() < info["speculation"].keys()
    requests = tmp_path / "in.jsonl"
    requests.write_text(json.dumps({"kind": "generate", "prompt": "春", "max_tokens": 20}), "utf-8")
    paths = [os.fsencode(path) for path in (model_path, requests, tmp_path / "out.jsonl")]
    options = {"memory": "128MiB", "speculate": str(model_path), "draft_tokens": 4, "seed": 1}
    fields = said("lc_batch", *paths, json.dumps(options).encode(), _ffi.ProgressFunction(), None)
    result = leafcutter.batch(model_path, requests, tmp_path / "again.jsonl", **options)
    assert fields.pop("warnings") == []
    expect_named(leafcutter.BatchResult, fields)
    assert result.speculation["mode"] == str(model_path) and result.speculation["accepted"] > 0


def test_a_named_draft_that_does_not_draft_is_a_warning(model_path, tmp_path):
    """Of the package, once, where the model is opened, in the words of the command."""
    options = {"context": 128, "threads": 1}
    least = leafcutter.plan(model_path, memory="4GiB", disk_rate="1GB/s", **options).minimum
    with pytest.warns(leafcutter.PerformanceWarning) as caught:
        with leafcutter.Model(model_path, memory=least, speculate="ngram", **options) as tight:
            assert tight.info["warnings"] == [f"speculation is {tight.info['speculation']['mode']}"]
            assert tight.complete("春", max_tokens=1).text
    assert [one.filename for one in caught] == [__file__]
    assert re.match(r"speculation is off: no room for ngram; .*it drafts with \d+ MiB$", str(caught[0].message))
    # What was kept of it is of no use, either.
    draft = shutil.copy(model_path, tmp_path / "draft.leaf")
    (tmp_path / "draft.leaf.acceptance").write_text("{")
    with pytest.warns(leafcutter.PerformanceWarning, match="nothing is known of how often the guesses were right: "):
        leafcutter.Model(model_path, memory="128MiB", speculate=draft, draft_tokens=4, **options).close()
    requests = tmp_path / "in.jsonl"
    requests.write_text('{"kind":"generate","prompt":"\u6625","max_tokens":1}')
    with pytest.warns(leafcutter.PerformanceWarning, match="nothing is known of how often") as caught:
        leafcutter.batch(
            model_path, requests, tmp_path / "out.jsonl", memory="128MiB", speculate=draft, draft_tokens=4)
    assert [one.filename for one in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for speculate in (None, "auto", "off"):
            leafcutter.Model(model_path, memory=least, speculate=speculate, **options).close()


def test_a_model_tells_what_it_takes(model):
    assert model.memory.budget == 128 << 20
    assert 0 < model.memory.peak <= model.memory.budget
    assert model.plan.budget == 128 << 20
    assert model.sequences == 4
    assert "demo.leaf" in repr(model)


RUNS = [
    {"budget": 1 << 30, "decode_seconds_per_token": [1.8, 1.9], "predicted_seconds_per_token": 1.7},
    {"budget": 1 << 29, "decode_seconds_per_token": [2.6, 2.7, 2.5], "predicted_seconds_per_token": 2.4},
    {"budget": 1 << 31, "decode_seconds_per_token": 0.5, "name": "another"},
]


def test_results_become_a_plot(tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"machine": {}, "runs": RUNS}))
    lines = tmp_path / "bench.jsonl"
    lines.write_text("".join(json.dumps(run) + "\n" for run in RUNS))
    for results in (RUNS, {"runs": RUNS}, path, str(lines), iter(RUNS)):
        axes = leafcutter.plot_memory_speed(results)
        assert [text.get_text() for text in axes.get_legend().get_texts()] == [
            "leafcutter, predicted", "leafcutter", "another"]
        [measured] = [one.lines[0] for one in axes.containers if one.get_label() == "leafcutter"]
        assert list(measured.get_xdata()) == [0.5, 1.0]
        assert list(measured.get_ydata()) == pytest.approx([2.6, 1.85])
    assert leafcutter.plot_memory_speed(RUNS[2], axes=axes) is axes


def test_results_that_are_none_are_refused(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "bench.md"
    path.write_text("| memory |")
    for results in (path, [], [{"budget": 1}], [3], [{"budget": 1, "decode_seconds_per_token": []}]):
        with pytest.raises(leafcutter.BadInputError):
            leafcutter.plot_memory_speed(results)


def test_the_demo_recites():
    done = subprocess.run(
        [sys.executable, "-m", "leafcutter.demo"], cwd=REPOSITORY / "python", capture_output=True, check=False,
        encoding="utf-8", env={"PYTHONUTF8": "1", **os.environ},
    )
    assert done.returncode == 0, done.stderr
    assert "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。" in done.stdout


def test_the_demo_says_where_it_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "leafcutter.demo"], cwd=tmp_path, capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0 or "inside of the repository" in done.stderr
