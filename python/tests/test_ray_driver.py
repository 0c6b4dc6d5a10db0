"""What the driver of a cluster does when workers are late, die, or compute wrongly: without a cluster."""

import itertools
import json
import types

import pytest

import leafcutter

exceptions = pytest.importorskip("ray.exceptions", reason="Ray is not installed")

from leafcutter.ray import _driver  # noqa: E402
from leafcutter.ray.__main__ import in_options  # noqa: E402
from leafcutter.ray._worker import ModelSpec  # noqa: E402

COUNT = 8
NODES = ["a" * 56, "b" * 56]


class Fleet:
    """Stands for Ray: two machines whose workers do what a script says.

    The script is called with the number of a worker and the numbers of the lines that it was asked, none for opening
    the model. It returns answers, raises what Ray would, or returns None as long as nothing has come.
    """

    def __init__(self, script):
        self.script, self.numbers, self.killed = script, itertools.count(), []

    def nodes(self):
        return [{"NodeID": name, "Alive": True, "Resources": {"CPU": 4}} for name in NODES]

    def remote(self, **_):
        def actor():
            number = next(self.numbers)

            def method(answer):
                return types.SimpleNamespace(remote=lambda given: (number, tuple(given) if answer else (), object()))

            return types.SimpleNamespace(number=number, open=method(False), answer=method(True))

        return lambda kind: types.SimpleNamespace(options=lambda **_: types.SimpleNamespace(remote=actor))

    def kill(self, actor):
        self.killed.append(actor.number)

    def wait(self, references, num_returns, timeout):
        for reference in references:
            try:
                self.outcome = self.script(reference[0], [number_of(line) for line in reference[1]])
            except Exception as error:
                self.outcome = error
            if self.outcome is not None:
                return [reference], []
        raise AssertionError("nobody answers any more")

    def get(self, reference):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome if reference[1] else {"host": f"machine {reference[0]}", "sequences": 2}


def number_of(line):
    return json.loads(line)["line"]


@pytest.fixture
def answers(tmp_path, model_path, model):
    """The right answers by their lines."""
    with (tmp_path / "in.jsonl").open("w", encoding="utf-8") as file:
        for number in range(COUNT):
            file.write(json.dumps({"id": number, "kind": "embed", "text": "春" * (number + 1)}) + "\n")
    with leafcutter.Job(model_path, tmp_path / "in.jsonl", tmp_path / "right.jsonl", seed=7) as job:
        return {number_of(answer): answer for answer in model.answer_lines(job)}


def run(tmp_path, model_path, script, monkeypatch):
    """Runs a job with two workers and leases of two lines. Returns the fleet, and what was told."""
    fleet, told = Fleet(script), []
    for name in ("nodes", "remote", "kill", "wait", "get"):
        monkeypatch.setattr(_driver.ray, name, getattr(fleet, name))
    job = leafcutter.Job(model_path, tmp_path / "in.jsonl", tmp_path / "out.jsonl", seed=7)
    with job:
        driver = _driver.Driver(job, ModelSpec(str(model_path)), 2, 2, 1, told.append)
        try:
            driver.run(lambda done, total: None)
        finally:
            driver.close()
    return fleet, told


def check(tmp_path, answers):
    lines = sorted((tmp_path / "out.jsonl").read_text("utf-8").splitlines())
    assert lines == sorted(json.loads(answer)["answer"] for answer in answers.values())


def test_who_is_late_is_helped_out(tmp_path, model_path, answers, monkeypatch):
    # The first worker never answers.
    def script(worker, lines):
        return None if worker == 0 and lines else [answers[line] for line in lines]

    fleet, told = run(tmp_path, model_path, script, monkeypatch)
    check(tmp_path, answers)
    assert told == [] and sorted(fleet.killed) == [0, 1]


def test_a_late_answer_that_differs_names_both_machines(tmp_path, model_path, answers, monkeypatch):
    seen = []

    def script(worker, lines):
        if worker == 0 and 1 in lines:
            # Comes once the other worker has answered the same lines.
            wrong = json.loads(answers[1])
            wrong["answer"] = wrong["answer"].replace("0.", "1.", 1)
            return [json.dumps(wrong).encode(), answers[2]] if (1, 1) in seen else None
        if worker == 0 and lines:
            return [answers[line] for line in lines] if (0, 1) in seen else None
        return [answers[line] for line in lines]

    def note(worker, lines):
        result = script(worker, lines)
        if result is not None:
            seen.extend((worker, line) for line in lines)
        return result

    with pytest.raises(leafcutter.BadInputError, match="by machine 1 and by machine 0: line 1 was answered twice"):
        run(tmp_path, model_path, note, monkeypatch)
    # What came first stays, and everything else is answered.
    check(tmp_path, answers)


def test_lines_of_a_worker_that_died_go_to_another(tmp_path, model_path, answers, monkeypatch):
    def script(worker, lines):
        if worker == 0 and lines:
            raise exceptions.RayActorError
        return [answers[line] for line in lines]

    fleet, told = run(tmp_path, model_path, script, monkeypatch)
    check(tmp_path, answers)
    # A third one took its place.
    assert told == ["a worker died (machine 0)"] and sorted(fleet.killed) == [0, 1, 2]


def test_lines_that_workers_die_of_end_the_job(tmp_path, model_path, answers, monkeypatch):
    def script(worker, lines):
        if 3 in lines:
            raise exceptions.RayActorError
        return [answers[line] for line in lines]

    with pytest.raises(leafcutter.FileError, match="3 workers died over the same 2 lines"):
        run(tmp_path, model_path, script, monkeypatch)
    with leafcutter.Job(model_path, tmp_path / "in.jsonl", tmp_path / "out.jsonl", resume=True) as job:
        assert 3 in [number_of(line) for line in job]


def test_a_worker_that_has_no_model_gives_up_and_others_go_on(tmp_path, model_path, answers, monkeypatch):
    def script(worker, lines):
        if worker == 0:
            raise exceptions.RayTaskError("open", "", leafcutter.FileError("the disk is gone"))
        return [answers[line] for line in lines]

    _, told = run(tmp_path, model_path, script, monkeypatch)
    check(tmp_path, answers)
    assert told == [f"a worker gave up: the disk is gone (node {NODES[0]})"]


def test_without_any_worker_the_job_ends_by_the_last_reason(tmp_path, model_path, answers, monkeypatch):
    def script(worker, lines):
        raise exceptions.RayTaskError("open", "", leafcutter.BudgetError("too small", minimum=7 << 20))

    with pytest.raises(leafcutter.BudgetError) as failure:
        run(tmp_path, model_path, script, monkeypatch)
    assert failure.value.minimum == 7 << 20
    with pytest.raises(leafcutter.FileError, match="no worker is left"):
        (tmp_path / "out.jsonl").unlink(missing_ok=True)
        (tmp_path / "out.jsonl.job").unlink(missing_ok=True)

        def dying(worker, lines):
            raise exceptions.RayActorError

        run(tmp_path, model_path, dying, monkeypatch)


def test_the_command_speaks_of_options():
    assert in_options("out exists; set skip_bad") == "out exists; use --skip-bad"
    assert in_options("too small; set memory to 95MiB or more") == "too small; use --memory 95MiB or more"
    assert in_options("no worker is left") == "no worker is left"
