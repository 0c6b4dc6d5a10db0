"""The demo model, opened, and the command beside it."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

import leafcutter

# Of what a shell runs in the background, nothing takes SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parents[2]
MEMORY = "128MiB"
POEM = "《登鹳雀楼》王之涣\n"


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    """The demo model's file."""
    target = tmp_path_factory.mktemp("models") / "demo.leaf"
    leafcutter.convert(REPOSITORY / "Examples" / "demo-model", target)
    return target


@pytest.fixture(scope="session")
def model(model_path):
    with leafcutter.Model(model_path, memory=MEMORY, context=256, sequences=4, threads=2) as model:
        yield model


@pytest.fixture(scope="session")
def least(model_path):
    """The smallest budget for a text of 256 tokens and one thread."""
    return leafcutter.plan(model_path, memory="4GiB", context=256, threads=1, disk_rate="1GB/s").minimum


@pytest.fixture
def slow_model(model_path, least):
    """A model whose every reading takes minutes."""
    with leafcutter.Model(
        model_path, memory=least, context=256, sequences=1, threads=1, max_read_rate="20kB/s"
    ) as model:
        yield model


@pytest.fixture(scope="session")
def program():
    """The command's path."""
    path = os.environ.get("LEAFCUTTER_BIN")
    if not path:
        pytest.skip("LEAFCUTTER_BIN does not name the command")
    return path


@pytest.fixture(scope="session")
def command(model_path, program):
    """Runs `leafcutter COMMAND MODEL ..` and returns the JSON objects that it prints, but for a summary."""

    def run(name, *arguments, lines=None):
        limits = [] if name == "tokenize" else ["--memory", MEMORY, "--quiet"]
        done = subprocess.run(
            [program, name, str(model_path), *map(str, arguments), *limits],
            input=None if lines is None else "".join(json.dumps(line) + "\n" for line in lines),
            capture_output=True, text=True, check=False,
        )
        assert done.returncode == 0, done.stderr
        objects = [json.loads(line) for line in done.stdout.splitlines()]
        return [object for object in objects if "summary" not in object]

    return run
