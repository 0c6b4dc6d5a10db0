"""Many machines: a cluster of three nodes on this one."""

import functools
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pytest
from conftest import MEMORY

import leafcutter

# Nothing is told to who makes Ray.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray = pytest.importorskip("ray", reason="Ray is not installed")

from ray.cluster_utils import Cluster  # noqa: E402

import leafcutter.ray  # noqa: E402
from leafcutter.ray._copying import ensure  # noqa: E402
from leafcutter.ray._worker import Worker  # noqa: E402

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
COUNT = 36
OPTIONS = {"seed": 7, "batch": 2, "lease": 2, "threads": 1}


@pytest.fixture(scope="module")
def cluster():
    """Three nodes, each with room for one worker."""
    # Notices soon that a node is gone.
    quick = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "_system_config": quick})
    for _ in range(2):
        cluster.add_node(**NODE)
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def requests(tmp_path_factory):
    path = tmp_path_factory.mktemp("requests") / "in.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(COUNT):
            kind = ({"kind": "generate", "prompt": f"春{number}", "max_tokens": 4}, {"kind": "embed", "text": "秋风"})
            file.write(json.dumps({"id": f"r{number}", **kind[number % 4 == 3]}, ensure_ascii=False) + "\n")
    return path


@pytest.fixture(scope="module")
def whole(model_path, requests, tmp_path_factory):
    """The answers of a run that nobody disturbs."""
    path = tmp_path_factory.mktemp("whole") / "out.jsonl"
    leafcutter.batch(model_path, requests, path, memory=MEMORY, seed=7)
    return lines(path)


@pytest.fixture(scope="module")
def slow(model_path):
    """Options of workers that take a while: a third of a second for each reading of the model."""
    with pytest.raises(leafcutter.BudgetError) as failure:
        leafcutter.Model(model_path, memory="8MiB", context=64, logit_rows=2)
    return {"memory": failure.value.minimum, "max_read_rate": "40MB/s", **OPTIONS}


def lines(path):
    return sorted(path.read_bytes().splitlines())


def ids(path):
    return sorted(json.loads(line)["id"] for line in path.read_bytes().splitlines())


def copies(source, target):
    """Copies a model in threads that begin at the same time; each has the file open by itself, as processes have."""
    with ThreadPool(3) as pool:
        pool.starmap(ensure, [(str(target), str(source))] * 3)


def test_a_missing_model_is_copied_once_and_checked(tmp_path, model_path):
    target = tmp_path / "folder" / "model.leaf"
    copies(model_path, target)
    assert target.read_bytes() == model_path.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["model.leaf"]
    with pytest.raises(leafcutter.FileError, match="is missing"):
        ensure(str(tmp_path / "other.leaf"), None)


def test_a_model_comes_from_a_url(tmp_path, model_path):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(model_path.parent))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ensure(str(tmp_path / "model.leaf"), f"http://127.0.0.1:{server.server_port}/{model_path.name}")
        server.shutdown()
    assert (tmp_path / "model.leaf").read_bytes() == model_path.read_bytes()


def test_a_damaged_copy_gets_no_name(tmp_path, model_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    for name, content in (("torn", model_path.read_bytes()[:-5000]), ("empty", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises((leafcutter.BadInputError, leafcutter.FileError)):
            ensure(str(tmp_path / f"{name}.leaf"), str(tmp_path / name))
        assert not (tmp_path / f"{name}.leaf").exists()


class MeasuredWorker(Worker):
    """Notes by how much its process has grown at most, in bytes: what it reports itself need not be believed."""

    folder = ""

    def open(self, spec):
        # The peak is that from here on, before the library is loaded: all of Python and Ray is in what was there.
        Path("/proc/self/clear_refs").write_text("5")
        self._before = peak()
        result = super().open(spec)
        self._note()
        return result

    def answer(self, lines):
        answers = super().answer(lines)
        self._note()
        return answers

    def _note(self):
        Path(self.folder, str(os.getpid())).write_text(str(peak() - self._before))


class DyingWorker(MeasuredWorker):
    """The first one that is asked something dies of it."""

    grave = ""

    def answer(self, lines):
        if not os.path.exists(self.grave):
            open(self.grave, "w").close()
            os._exit(1)
        return super().answer(lines)


def peak():
    """The most memory that this process has had, in bytes."""
    [kibibytes] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")]
    return int(kibibytes) << 10


def test_a_machine_and_a_worker_die_and_each_line_has_one_answer(
    tmp_path, cluster, model_path, requests, whole, slow, monkeypatch
):
    out, told, seen = tmp_path / "out.jsonl", [], []
    # Classes of a test are in no module that workers can import.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(DyingWorker, "grave", str(tmp_path / "grave"))
    peaks = tmp_path / "peaks"
    peaks.mkdir()
    monkeypatch.setattr(MeasuredWorker, "folder", str(peaks))
    monkeypatch.setattr(leafcutter.ray._driver, "Worker", DyingWorker)
    victim = next(node for node in cluster.list_all_nodes() if node is not cluster.head_node)

    def progress(done, total):
        if done >= 4 and not seen:
            # In a thread of its own: the driver does not wait for the node to be gone.
            killer = threading.Thread(target=cluster.remove_node, args=(victim,), kwargs={"allow_graceful": False})
            killer.start()
            seen.append(killer)

    result = leafcutter.ray.batch(
        model_path, requests, out, workers=3, progress=progress, report=told.append, **slow
    )
    seen[0].join()
    assert (result.requests, result.done, result.failed, result.done_before) == (COUNT, COUNT, 0, 0)
    assert any("died" in sentence for sentence in told), told
    assert lines(out) == whole
    assert ids(out) == sorted(f"r{number}" for number in range(COUNT))
    grown = [int(path.read_text()) for path in peaks.iterdir()]
    # The one that died, and who answered its lines; each has had a model.
    assert len(grown) >= 2 and 8 << 20 < min(grown) and max(grown) <= slow["memory"], grown
    cluster.add_node(**NODE)
    cluster.wait_for_nodes()


def test_a_driver_that_was_stopped_goes_on(tmp_path, cluster, model_path, requests, whole, slow):
    out = tmp_path / "out.jsonl"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in slow.items()]
    command = [sys.executable, "-m", "leafcutter.ray", "batch", str(requests), str(out), "--model", str(model_path)]
    driver = subprocess.Popen(
        [*command, "--workers=2", f"--address={cluster.address}", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    while driver.poll() is None and not (out.exists() and out.stat().st_size):
        time.sleep(0.05)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 130 and "--resume goes on" in errors, errors
    assert 0 < len(lines(out)) < COUNT
    done = leafcutter.ray.batch(model_path, requests, out, workers=3, resume=True, memory=MEMORY, **OPTIONS)
    assert done.done == COUNT and done.done_before > 0
    assert lines(out) == whole


def test_what_no_worker_can_do_is_an_error_and_no_wait(tmp_path, cluster, model_path, requests):
    with pytest.raises(leafcutter.BudgetError) as failure:
        leafcutter.ray.batch(model_path, requests, tmp_path / "out.jsonl", workers=2, memory="8MiB")
    assert failure.value.minimum > 8 << 20
    with pytest.raises(leafcutter.UsageError, match="workers"):
        leafcutter.ray.batch(model_path, requests, tmp_path / "none.jsonl", workers=0)
    with pytest.raises(leafcutter.FileError, match="is missing"):
        leafcutter.ray.batch(tmp_path / "none.leaf", requests, tmp_path / "none.jsonl")


def test_a_predictor_answers_the_rows_of_a_batch(model_path, model):
    predictor = leafcutter.ray.Predictor(
        model_path, memory=MEMORY, sequences=4, context=64, columns={"prompt": "title", "seed": "row"}, max_tokens=5
    )
    titles = np.array(["春", "夏", "秋" * 90], dtype=object)
    batch = predictor({"title": titles, "row": np.array([1, 2, 3])})
    assert list(batch["title"]) == list(titles)
    for row in range(2):
        answer = model.complete(titles[row], seed=row + 1, max_tokens=5)
        assert (batch["answer"][row], batch["error"][row]) == (answer.text, "")
        assert batch["completion_tokens"][row] == len(answer.ids)
    assert batch["answer"][2] == "" and "context" in batch["error"][2]
    with pytest.raises(leafcutter.UsageError, match="no column 'title'"):
        predictor({"row": np.array([1])})


def test_a_dataset_is_answered_by_predictors(cluster, model_path, model):
    data = pytest.importorskip("ray.data", reason="ray[data] is not installed")
    texts = ["床前明月光", "疑是地上霜", "春眠不觉晓", "处处闻啼鸟"]
    rows = data.from_items([{"text": text} for text in texts]).map_batches(
        leafcutter.ray.Predictor, batch_size=2, concurrency=1, num_cpus=1,
        fn_constructor_kwargs={"model": os.fspath(model_path), "kind": "embed", "memory": MEMORY, "sequences": 2},
    ).take_all()
    found = {row["text"]: row["embedding"] for row in rows}
    for text, vector in zip(texts, model.embed(texts)):
        assert np.array_equal(found[text], vector)
