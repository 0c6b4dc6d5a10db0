"""Python goes on while the model is read, and Ctrl-C is heard."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import POEM, REPOSITORY

import leafcutter
from leafcutter import _ffi


def interrupt_soon():
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_other_threads_go_on_while_a_token_is_waited_for(slow_model):
    count = 0
    stream = slow_model.generate(POEM)

    def count_up():
        nonlocal count
        while count < 1000:
            count += 1
            time.sleep(0)
        # The reading takes minutes, so this comes while the token is waited for.
        stream.cancel()

    counter = threading.Thread(target=count_up)
    counter.start()
    with pytest.raises(leafcutter.Cancelled):
        next(stream)
    counter.join()
    assert count == 1000


def test_ctrl_c_in_the_first_sweep_is_heard(slow_model):
    for wait in (
        lambda: next(slow_model.generate(POEM)), lambda: slow_model.complete(POEM),
        lambda: slow_model.score("春", "风"), lambda: next(slow_model.map(["春", "夏"])), lambda: slow_model.embed("春"),
    ):
        with pytest.raises(KeyboardInterrupt):
            interrupt_soon()
            wait()


OPENING = """
import os, signal, sys, threading
import leafcutter
try:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    leafcutter.Model(sys.argv[1], memory="1GiB", context=256, max_read_rate="20kB/s", io="buffered")
    # All of it stays in memory, and where opening does not read it, the first sweep does.
    next(leafcutter.Model(sys.argv[1], memory="1GiB", context=256, max_read_rate="20kB/s").generate("x"))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_while_a_model_opens_is_heard_and_the_process_ends(model_path):
    done = subprocess.run(
        [sys.executable, "-c", OPENING, str(model_path)], capture_output=True, text=True, timeout=600, check=False
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_ctrl_c_ends_a_plan(model_path):
    with pytest.raises(KeyboardInterrupt):
        interrupt_soon()
        # Without a rate the disk is measured for some seconds; on a busy machine the signal may take longer.
        while True:
            leafcutter.plan(model_path, memory="1GiB")


def test_a_conversion_is_interrupted_and_goes_on(tmp_path, model_path, monkeypatch):
    source, target = REPOSITORY / "Examples" / "demo-model", tmp_path / "demo.leaf"
    make = _ffi.ProgressFunction

    def slowly(note):
        """What the conversion calls after each step, so that it does not end before anybody looks at it."""
        def call(*state):
            time.sleep(0.1)
            return note(*state)
        return make(call)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(_ffi, "ProgressFunction", slowly)
        # The signal comes from the conversion's own progress.
        leafcutter.convert(source, target, threads=1, progress=lambda done, total: os.kill(os.getpid(), signal.SIGINT))
    assert not target.exists()
    leafcutter.convert(source, target)
    assert target.read_bytes() == model_path.read_bytes()


ENDING = """
import sys, threading, time
import leafcutter
model = leafcutter.Model(sys.argv[1], memory=int(sys.argv[2]), context=256, threads=1, max_read_rate="20kB/s")
waits = {
    "map": lambda: list(model.map(["x"])), "complete": lambda: model.complete("x"),
    "score": lambda: model.score("x", "x"),
}
def wait():
    try:
        waits[sys.argv[3]]()
    except leafcutter.Cancelled:
        pass
thread = threading.Thread(target=wait, daemon=True)
thread.start()
# A reading takes minutes, so whoever has come to wait for it waits.
while not sys._current_frames()[thread.ident].f_code.co_filename.endswith("_request.py"):
    time.sleep(0.01)
time.sleep(0.2)
"""


@pytest.mark.parametrize("call", ["map", "complete", "score"])
def test_a_thread_that_waits_when_the_program_ends_is_cancelled(model_path, least, call):
    done = subprocess.run(
        [sys.executable, "-c", ENDING, str(model_path), str(least + (4 << 20)), call],
        capture_output=True, text=True, timeout=600, check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_is_printed_unasked(model_path):
    done = subprocess.run(
        [sys.executable, "-c", "import sys, leafcutter\n"
         "with leafcutter.Model(sys.argv[1], memory='128MiB') as m: m.complete('春', max_tokens=2)", str(model_path)],
        capture_output=True, text=True, check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
