"""A server of the demo model for the tests, which `Scripts/test-server` starts."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

BIN = os.environ["LEAFCUTTER_BIN"]
MODEL = os.environ["LEAFCUTTER_MODEL"]
POEM = "《登鹳雀楼》王之涣\n"


def listens_at(line):
    """The address in the line that tells it, whatever form the log has; None in every other line."""
    if line.startswith("listening on "):
        return line.split()[2]
    return json.loads(line).get("listening", {}).get("address") if line.startswith("{") else None


class Server:
    """`leafcutter serve` in a process of its own."""

    def __init__(self, *options, model=MODEL, environment=None, before=()):
        self.errors = []
        words = [*before, BIN, "serve", model, *options]
        if "--listen" not in options:
            words += ["--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(
            words, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})},
            # Of what a shell runs in the background, nothing takes SIGINT, nor does what that starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        for line in self.process.stderr:
            self.errors.append(line)
            self.url = listens_at(line)
            if self.url:
                break
        else:
            raise RuntimeError(f"the server ended with {self.process.wait()}: {''.join(self.errors)}")
        self.model = pathlib.Path(model).stem
        self.port = int(self.url.rsplit(":", 1)[1]) if self.url.startswith("http") else None

    def get(self, path, **headers):
        with urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers), timeout=60) as answer:
            return answer.read()

    def post(self, path, body, **headers):
        """The status, the headers and the JSON of an answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json", **headers}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.headers, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, error.headers, json.loads(text) if text.startswith(b"{") else text

    def metric(self, name):
        for line in self.get("/metrics").decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise KeyError(name)

    def wait_for(self, name, value, seconds=30):
        """Waits until a metric has a value."""
        end = time.monotonic() + seconds
        while self.metric(name) != value:
            assert time.monotonic() < end, f"{name} is {self.metric(name)}, not {value}"
            time.sleep(0.05)

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(60)
        return connection

    def logged(self):
        """What a server with `--log json` has logged of requests, once it has ended."""
        lines = [json.loads(line) for line in "".join(self.errors).splitlines()]
        return [line for line in lines if "route" in line]

    def stop(self, number=signal.SIGTERM):
        """Its exit code after a signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.end()

    def end(self):
        """Its exit code, once it has ended."""
        try:
            _, rest = self.process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.errors.append(rest or "")
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def wait_until_taken(process, number):
    """Until a process has seen a signal: of two equal ones that wait, one comes."""
    while True:
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        if not int(status.split("ShdPnd:\t")[1].split()[0], 16) >> number - 1 & 1:
            return
        time.sleep(0.001)


@pytest.fixture(scope="session")
def server():
    with Server("--memory", "128MiB", "--threads", "2") as running:
        yield running
        assert running.stop() == 0


def command(*words):
    """What a command of the same model prints, as JSON."""
    result = subprocess.run(
        [BIN, words[0], MODEL, *words[1:], "--json", "--quiet", "--memory", "128MiB"], capture_output=True, text=True,
        check=True)
    return json.loads(result.stdout)


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("server")
