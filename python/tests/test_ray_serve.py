"""The server as a deployment of Ray Serve, on this machine."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from conftest import POEM

import leafcutter

# Nothing is told to who makes Ray.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray = pytest.importorskip("ray", reason="Ray is not installed")

from leafcutter.ray import _serving, serve_app  # noqa: E402

PATIENCE_SECONDS = 120


class Client:
    """Asks the deployment."""

    def __init__(self, port):
        self.port = port

    @contextlib.contextmanager
    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, {} if data is None else {"Content-Type": "application/json"})
        with contextlib.closing(connection), connection.getresponse() as answer:
            yield answer

    def post(self, path, body):
        """Status and JSON of an answer."""
        with self.ask("POST", path, body) as answer:
            return answer.status, json.loads(answer.read())

    def metric(self, name):
        with self.ask("GET", "/metrics") as answer:
            [value] = re.findall(rf"^{name} (\S+)$", answer.read().decode(), re.M)
        return float(value)


@pytest.fixture(scope="module")
def client(model_path, program):
    """One replica, whose model takes a third of a second for each reading, and no time where little is read."""
    serve = pytest.importorskip("ray.serve", reason="ray[serve] is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=80 << 20, logging_level="ERROR",
             log_to_driver=False)
    serve.start(http_options={"port": port})
    app = serve_app(
        model_path, command=program, memory="64MiB", threads=1, max_context=128, max_read_rate="40MB/s",
        request_limit="64KiB", deployment={"health_check_period_s": 0.5},
    )
    serve.run(app)
    yield Client(port)
    serve.shutdown()
    ray.shutdown()


def process(model_path):
    """The server's process and that of its replica."""
    [pid] = [
        int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline")
        if f"\0serve\0{model_path}\0".encode() in read(path)
    ]
    return pid, int(re.search(rb"^PPid:\t(\d+)$", read(Path(f"/proc/{pid}/status")), re.M)[1])


@contextlib.contextmanager
def stream(client):
    """A text of half a minute, after its first token."""
    body = {"prompt": "春", "max_tokens": 80, "stream": True, "seed": 1}
    with client.ask("POST", "/v1/completions", body) as answer:
        while not answer.readline().startswith(b"data: "):
            pass
        yield answer


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        # The process has ended meanwhile.
        return b""


def wait_until(condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_an_answer_is_that_of_the_command(client, command):
    [expected] = command("generate", POEM, "--seed", 3, "--max-tokens", 5, "--json")
    status, answer = client.post("/v1/completions", {"prompt": POEM, "seed": 3, "max_tokens": 5})
    assert (status, answer["choices"][0]["text"], answer["seed"]) == (200, expected["text"], 3)
    with client.ask("GET", "/v1/models") as models:
        assert json.loads(models.read())["data"][0]["id"] == "demo"


def test_errors_have_the_server_s_shape(client):
    status, answer = client.post("/v1/completions", {"prompt": POEM, "temperature": "warm"})
    assert (status, answer["error"]["type"], answer["error"]["param"]) == (400, "invalid_request_error", "temperature")
    assert client.post("/v1/nothing?a=%2F", {})[0] == 404
    status, answer = client.post("/v1/completions", b'{"prompt":"' + b"x" * 200_000 + b'"}')
    assert (status, answer["error"]["type"]) == (413, "invalid_request_error")


def test_a_stream_comes_as_it_is_generated(client, command):
    [expected] = command("generate", POEM, "--greedy", "--max-tokens", 5, "--json")
    body = {"prompt": POEM, "greedy": True, "max_tokens": 5, "stream": True}
    with client.ask("POST", "/v1/completions", body) as answer:
        assert answer.getheader("Content-Type").startswith("text/event-stream")
        lines = [line[6:].strip() for line in answer if line.startswith(b"data: ")]
    assert lines.pop() == b"[DONE]"
    assert "".join(json.loads(line)["choices"][0]["text"] for line in lines) == expected["text"]


def test_who_leaves_a_stream_frees_its_place(client):
    before = client.metric("leafcutter_tokens_total")
    with stream(client):
        # Its first token has not waited for the rest.
        assert client.metric("leafcutter_active_requests") == 1
    wait_until(lambda: client.metric("leafcutter_active_requests") == 0)
    assert client.metric("leafcutter_tokens_total") - before < 80


def test_an_answer_whose_server_dies_breaks_off_and_another_server_comes(client, model_path):
    server, replica = process(model_path)
    with stream(client) as answer:
        os.kill(server, signal.SIGKILL)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            answer.read()
    wait_until(lambda: answers(client))
    assert process(model_path)[1] != replica


def test_a_replica_that_is_killed_takes_its_server_with_it_and_another_comes(client, model_path):
    server, replica = process(model_path)
    with stream(client) as answer:
        os.kill(replica, signal.SIGKILL)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            answer.read()
    wait_until(lambda: not read(Path(f"/proc/{server}/cmdline")))
    wait_until(lambda: answers(client))
    assert process(model_path)[0] != server


def answers(client):
    """Whether a request is answered; while a replica is started, Serve lets it wait or says why it cannot."""
    with client.ask("POST", "/v1/completions", {"prompt": POEM, "max_tokens": 1}) as answer:
        text = answer.read()
        assert answer.status in (200, 500, 503), text
        return answer.status == 200


def test_a_machine_without_the_command_says_so(model_path):
    pytest.importorskip("ray.serve", reason="ray[serve] is not installed")
    from leafcutter.ray._replica import Replica

    with pytest.raises(leafcutter.FileError, match="no-such-program is missing on"):
        Replica("no-such-program", str(model_path), None, [])


def test_a_server_that_does_not_start_says_why(model_path, program):
    pytest.importorskip("ray.serve", reason="ray[serve] is not installed")
    from leafcutter.ray._replica import Replica

    with pytest.raises(leafcutter.Error, match="has ended; its last words: .*needs at least"):
        Replica(program, str(model_path), None, ["--memory=8MiB"])


def test_without_ray_serve_one_sentence_says_what_is_missing(model_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "leafcutter.ray._replica", raising=False)
    with pytest.raises(leafcutter.UsageError, match=r"pip install 'leafcutter\[serve\]'"):
        serve_app(model_path)


def test_options_become_those_of_the_command():
    options = {"memory": 5, "no_auth": True, "cors": None, "quiet": False, "delta": ["a=b", "c"], "log": "json"}
    assert list(_serving.words(options)) == ["--memory=5", "--no-auth", "--delta=a=b", "--delta=c", "--log=json"]


def test_what_serve_itself_decides_is_refused(model_path):
    pytest.importorskip("ray.serve", reason="ray[serve] is not installed")
    with pytest.raises(leafcutter.UsageError, match="listen"):
        serve_app(model_path, listen="0.0.0.0:80")
