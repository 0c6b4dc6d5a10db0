"""What a server tells and keeps of what guesses tokens."""
import json
import re
import shutil
import signal
import socket
import subprocess

import pytest

from conftest import BIN, MODEL, POEM, Server, wait_until_taken

SMALL = ("--memory", "128MiB", "--threads", "2", "--max-batch", "2")


@pytest.fixture
def draft(tmp_path):
    """The path of a model that guesses, in a folder of its own."""
    return shutil.copy(MODEL, tmp_path / "draft.leaf")


def recite(server):
    status, _, answer = server.post("/v1/completions", {"prompt": POEM, "max_tokens": 24, "temperature": 0})
    assert status == 200 and answer["choices"][0]["text"].startswith("白日依山尽")


@pytest.mark.parametrize("log", [None, "json"])
def test_the_end_says_what_drafts_came_to(draft, log):
    options = ["--speculate", draft, "--draft-tokens", "4", *(["--log", log] if log else [])]
    with Server(*SMALL, *options) as server:
        recite(server)
        names = ("drafted_tokens", "accepted_tokens", "draft_steps", "draft_step_tokens", "draft_seconds")
        drafted, accepted, steps, tokens, seconds = (server.metric(f"leafcutter_{name}_total") for name in names)
        assert drafted >= accepted > 0 and tokens > steps > 0 and seconds > 0
        assert server.stop() == 0
    lines = "".join(server.errors).splitlines()
    if log:
        told = [line["speculation"] for line in map(json.loads, lines) if "speculation" in line]
        assert [(one["drafted"], one["accepted"], one["steps"], one["tokens"]) for one in told] == [
            (drafted, accepted, steps, tokens)]
        assert told[0]["mode"] == str(draft) and told[0]["draft_seconds"] == pytest.approx(seconds)
        assert told[0]["tokens_per_sweep"] == pytest.approx(tokens / steps)
    else:
        sentence = f"speculation ({draft}): {tokens:.0f} tokens in {steps:.0f} steps of single texts, "
        sentence += f"{tokens / steps:.2f} tokens a sweep; {accepted:.0f} of {drafted:.0f} guessed tokens right ("
        assert any(line.startswith(sentence) for line in lines), lines


def test_the_end_says_nothing_where_nothing_drafts():
    with Server(*SMALL, "--speculate", "off") as server:
        recite(server)
        assert server.stop() == 0
    assert "speculation" not in "".join(server.errors)


def test_what_drafts_is_told_without_the_names_of_files(draft):
    def told(*options):
        with Server(*SMALL, *options) as server:
            kind = json.loads(server.get("/plan"))["speculation"]
            text = server.get("/metrics").decode()
            assert server.stop() == 0
        assert "draft.leaf" not in text
        return kind, [line for line in text.splitlines() if line.startswith("leafcutter_speculation_info")]

    for kind, options in (
        ("model", ("--speculate", draft, "--draft-tokens", "4")), ("ngram", ("--speculate", "ngram")),
        ("off", ("--speculate", "off")),
    ):
        assert told(*options) == ({"mode": kind}, [f'leafcutter_speculation_info{{mode="{kind}"}} 1.0'])


def test_what_came_of_drafts_is_kept_when_a_second_signal_ends_it(draft, tmp_path):
    with Server(*SMALL, "--speculate", draft, "--draft-tokens", "4", "--keep-acceptance") as server:
        recite(server)
        accepted = server.metric("leafcutter_accepted_tokens_total")
        with unread(server):
            server.process.send_signal(signal.SIGTERM)
            wait_until_taken(server.process, signal.SIGTERM)
            assert server.process.poll() is None
            assert server.stop() == 128 + signal.SIGTERM
    kept = json.loads((tmp_path / "draft.leaf.acceptance").read_text())["acceptance"]
    assert [one["accepted"] for one in kept] == [accepted] and accepted > 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("draft.leaf.")] == [
        "draft.leaf.acceptance"]


def unread(server):
    """A connection with answers that its client does not take, for which a server waits when it stops."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 16)
    assert connection.recv(1)
    return connection


def test_what_came_of_drafts_is_kept(draft, tmp_path):
    for runs in (1, 2):
        with Server(*SMALL, "--speculate", draft, "--draft-tokens", "4", "--keep-acceptance") as server:
            recite(server)
            accepted = server.metric("leafcutter_accepted_tokens_total")
            assert server.stop() == 0
        kept = json.loads((tmp_path / "draft.leaf.acceptance").read_text())["acceptance"]
        assert len(kept) == 1 and kept[0]["accepted"] == runs * accepted > 0
        assert "warning" not in "".join(server.errors)


def test_what_cannot_be_kept_is_refused_at_the_start(draft, tmp_path):
    (tmp_path / "draft.leaf.acceptance").write_text("{")
    key = tmp_path / "key"
    key.write_text("abcdefghijklmnop\n")
    (tmp_path / "other.leaf").symlink_to(draft)
    (tmp_path / "other.leaf.acceptance").symlink_to(key)
    for words, code, what in (
        (["--speculate", draft], 1, "remove it, and what is kept begins anew"),
        (["--speculate", "ngram"], 2, "--keep-acceptance counts what a model guesses"),
        (["--speculate", tmp_path / "other.leaf", "--api-key-file", key], 2, "key"),
    ):
        ended = subprocess.run(
            [BIN, "serve", MODEL, *SMALL, *words, "--keep-acceptance", "--listen", "127.0.0.1:0"], text=True,
            capture_output=True, timeout=60, check=False)
        assert ended.returncode == code and what in ended.stderr, ended.stderr
    assert key.read_text() == "abcdefghijklmnop\n"


@pytest.mark.parametrize("log", [None, "text", "json"])
def test_why_nothing_drafts_is_a_warning_in_the_form_of_the_log(draft, log):
    words = ["--threads", "2", "--speculate", draft, "--draft-tokens", "4", "--max-batch", "1"]
    words += [*(["--log", log] if log else []), "--memory"]
    refused = subprocess.run(
        [BIN, "serve", MODEL, *words, "16MiB"], text=True, capture_output=True, timeout=60, check=False)
    least = re.search(r"use --memory (\d+MiB)", refused.stderr)
    with Server(*words, least[1]) as server:
        assert server.stop() == 0
    warnings = [line for line in server.errors if "speculation is off: no room for" in line]
    assert len(warnings) == 1
    sentence = json.loads(warnings[0])["warning"] if log == "json" else warnings[0].removeprefix("warning: ")
    assert re.match(r"speculation is off: no room for .*; for .* it drafts with \d+ MiB$", sentence.strip())


def test_where_several_texts_need_the_memory_fewer_are_advised(draft):
    words = ["--threads", "2", "--speculate", draft, "--draft-tokens", "4", "--memory"]
    refused = subprocess.run(
        [BIN, "serve", MODEL, *words, "16MiB"], text=True, capture_output=True, timeout=60, check=False)
    least = int(re.search(r"use --memory (\d+)MiB", refused.stderr)[1])

    def warning(*options):
        with Server(*words, *options) as server:
            is_off = json.loads(server.get("/plan"))["speculation"]["mode"] == "off"
            assert server.stop() == 0
        assert is_off == ("speculation is off" in "".join(server.errors))
        return next((line.strip() for line in server.errors if "speculation is off" in line), None)

    told = warning(f"{least}MiB")
    named = re.search(r" it drafts with (\d+) MiB; fewer texts at once, by --max-batch, need less$", told)
    assert named, told
    alone = re.search(r" it drafts with (\d+) MiB$", warning(f"{least}MiB", "--max-batch", "1"))
    assert int(alone[1]) < int(named[1])
    assert warning(f"{alone[1]}MiB", "--max-batch", "1") is None
