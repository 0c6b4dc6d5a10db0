"""Files and batches, through OpenAI's own client and without it."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.request

import openai
import pytest

from conftest import BIN, MODEL, POEM, Server

OPTIONS = ("--memory", "160MiB", "--threads", "2")
# Weights are read again for each sweep, which takes some hundredths of a second then: a batch is found at work.
SLOW = ("--memory", "62MiB", "--threads", "2", "--max-context", "160", "--max-read-rate", "200MB/s")


def lines(count, tokens=6, url="/v1/completions"):
    return "".join(json.dumps({
        "custom_id": f"line-{number}", "method": "POST", "url": url,
        "body": {"model": "any", "prompt": POEM, "max_tokens": tokens, "seed": number, "temperature": 0.9},
    }) + "\n" for number in range(count)).encode()


def client_of(server, key="none"):
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0)


def upload(client, content, name="requests.jsonl"):
    return client.files.create(file=(name, content), purpose="batch")


def begin(client, content, **options):
    options = {"endpoint": "/v1/completions", "completion_window": "24h", **options}
    return client.batches.create(input_file_id=upload(client, content).id, **options)


def wait(client, batch, *statuses, seconds=120, until=lambda batch: True):
    """The batch, once it has come to one of these."""
    end = time.monotonic() + seconds
    while True:
        batch = client.batches.retrieve(batch.id)
        if batch.status in statuses and until(batch):
            return batch
        assert time.monotonic() < end, batch
        assert batch.status not in ("completed", "failed", "expired", "cancelled"), batch
        time.sleep(0.05)


def answers(client, file):
    """Lines of a file, in the order of their ids."""
    found = client.files.content(file).read().splitlines()
    return sorted(found, key=lambda line: int(json.loads(line)["custom_id"].split("-")[1]))


def by_command(content, folder: pathlib.Path):
    (folder / "in.jsonl").write_bytes(content)
    subprocess.run(
        [BIN, "batch", MODEL, folder / "in.jsonl", folder / "out.jsonl", "--quiet", "--memory", "128MiB"], check=True)
    found = (folder / "out.jsonl").read_bytes().splitlines()
    return sorted(found, key=lambda line: int(json.loads(line)["custom_id"].split("-")[1]))


def kept(folder):
    return sorted(name for name in os.listdir(folder))


@pytest.fixture(scope="module")
def keeping(tmp_path_factory):
    """A server that keeps files."""
    folder = tmp_path_factory.mktemp("kept")
    with Server(*OPTIONS, "--files", str(folder), "--request-limit", "256KiB") as running:
        running.folder = folder
        yield running
        assert running.stop() == 0


@pytest.fixture(scope="module")
def client(keeping):
    return client_of(keeping)


def test_a_page_of_another_site_sends_no_files(keeping):
    """Forms are what pages may send without asking before."""
    form = (b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--x\r\n'
            b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n' + lines(1) + b"\r\n--x--\r\n")
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    for origin in ("https://evil.example", "null", keeping.url + "0"):
        status, _, answer = keeping.post("/v1/files", form, Origin=origin, **kind)
        assert (status, answer["error"]["code"]) == (403, "foreign_page")
        assert keeping.post("/v1/batches/batch_1/cancel", b"", Origin=origin)[0] == 403
    for own in ({"Origin": keeping.url}, {"Origin": "https://proxy.example", "Sec-Fetch-Site": "same-origin"}):
        status, _, answer = keeping.post("/v1/files", form, **own, **kind)
        assert status == 200
        client_of(keeping).files.delete(answer["id"])


def test_a_server_without_a_folder_says_how_to_have_one(server):
    client = client_of(server)
    with pytest.raises(openai.NotFoundError, match="--files"):
        upload(client, lines(1))
    with pytest.raises(openai.NotFoundError, match="--files"):
        client.batches.list()


def test_files_are_kept_as_they_were_sent(keeping, client):
    content = lines(3) + b"\r\n\xff\x00--"
    file = upload(client, content, "诗 \"a\".jsonl")
    assert (file.object, file.purpose, file.bytes, file.status) == ("file", "batch", len(content), "processed")
    assert client.files.content(file.id).read() == content
    assert client.files.retrieve(file.id) == file
    assert file.id in [one.id for one in client.files.list()]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    assert not [name for name in kept(keeping.folder) if name.startswith(file.id)]


def test_a_large_file_comes_back_whole(keeping, client):
    content = os.urandom(200_000)
    file = upload(client, content)
    assert client.files.content(file.id).read() == content
    client.files.delete(file.id)


def test_a_head_says_how_long_a_file_is(keeping, client):
    file = upload(client, lines(3))
    for path in (f"/v1/files/{file.id}/content", f"/v1/files/{file.id}", "/v1/files", "/v1/batches"):
        request = urllib.request.Request(keeping.url + path, method="HEAD")
        with urllib.request.urlopen(request, timeout=60) as head:
            assert head.status == 200 and head.read() == b""
            assert int(head.headers["Content-Length"]) == len(keeping.get(path)), path
    client.files.delete(file.id)


def test_what_cannot_be_kept_is_refused_in_words(keeping, client):
    before = kept(keeping.folder)
    with pytest.raises(openai.BadRequestError, match="purpose"):
        client.files.create(file=("a", b"{}"), purpose="fine-tune")
    with pytest.raises(openai.BadRequestError, match="empty"):
        upload(client, b"")
    with pytest.raises(openai.APIStatusError, match="body") as error:
        upload(client, b"x" * 300_000)
    assert error.value.status_code == 413
    assert keeping.post("/v1/files", {"purpose": "batch"})[0] == 415
    assert keeping.post("/v1/files", b"--x", **{"Content-Type": "multipart/form-data; boundary=x"})[0] == 400
    assert keeping.post("/v1/batches", b"{", **{"Content-Type": "text/plain"})[0] == 415
    assert keeping.post("/v1/batches", b"{")[0] == 400
    status, _, answer = keeping.post(
        "/v1/batches", {"input_file_id": "x", "endpoint": "/v1/completions", "completion_window": "24h"})
    assert (status, answer["error"]["param"]) == (404, "input_file_id")
    with pytest.raises(openai.BadRequestError, match="purpose"):
        client.files.list(purpose="x")
    assert all(file.purpose == "batch_output" for file in client.files.list(purpose="batch_output"))
    assert kept(keeping.folder) == before


def test_a_batch_answers_what_the_command_answers(client, tmp_path):
    content = lines(9)
    batch = begin(client, content, metadata={"what": "poems"})
    assert (batch.object, batch.status, batch.metadata) == ("batch", "validating", {"what": "poems"})
    batch = wait(client, batch, "completed")
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (9, 9, 0)
    assert batch.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
    assert batch.error_file_id is None and batch.errors is None
    assert answers(client, batch.output_file_id) == by_command(content, tmp_path)
    output = client.files.retrieve(batch.output_file_id)
    assert output.purpose == "batch_output" and output.bytes == len(client.files.content(output.id).read())
    assert batch.id in [one.id for one in client.batches.list(limit=100)]
    with pytest.raises(openai.BadRequestError):
        client.batches.cancel(batch.id)


def test_the_tokens_of_a_batch_are_counted(keeping, client):
    before = keeping.metric("leafcutter_tokens_total")
    batch = wait(client, begin(client, lines(7)), "completed")
    found = [json.loads(line)["response"]["body"]["usage"] for line in answers(client, batch.output_file_id)]
    tokens = sum(usage["completion_tokens"] for usage in found)
    assert tokens > 7
    keeping.wait_for("leafcutter_tokens_total", before + tokens)


def test_all_three_routes_are_answered(client):
    chat = {"custom_id": "line-0", "method": "POST", "url": "/v1/chat/completions", "body": {
        "messages": [{"role": "user", "content": POEM}], "max_tokens": 4, "temperature": 0}}
    vector = {"custom_id": "line-0", "method": "POST", "url": "/v1/embeddings", "body": {"input": "床前明月光"}}
    for request in (chat, vector):
        batch = begin(client, json.dumps(request).encode(), endpoint=request["url"])
        batch = wait(client, batch, "completed")
        answer = json.loads(answers(client, batch.output_file_id)[0])
        assert answer["response"]["status_code"] == 200 and answer["error"] is None


def test_requests_that_fail_stand_in_a_file_of_their_own(client):
    long = json.dumps({
        "custom_id": "line-7", "method": "POST", "url": "/v1/completions",
        "body": {"prompt": POEM, "max_tokens": 100_000}}).encode()
    batch = wait(client, begin(client, lines(2) + long), "completed")
    assert (batch.request_counts.completed, batch.request_counts.failed) == (2, 1)
    assert [json.loads(line)["custom_id"] for line in answers(client, batch.output_file_id)] == ["line-0", "line-1"]
    failed = [json.loads(line) for line in answers(client, batch.error_file_id)]
    assert [line["custom_id"] for line in failed] == ["line-7"] and failed[0]["error"]["message"]


def test_a_file_that_makes_no_sense_fails_by_its_line(client):
    for content, line in (
        (lines(2) + b"{]\n", 3), (lines(2) + lines(1), 3), (lines(1, url="/v1/embeddings"), 1),
        (lines(1) + b'{"id":1,"kind":"generate","prompt":"a"}\n', 2),
    ):
        batch = wait(client, begin(client, content), "failed")
        assert batch.errors.data[0].line == line
        assert "/" not in batch.errors.data[0].message.replace("/v1/completions", "")
        assert batch.output_file_id is None and batch.error_file_id is None


@pytest.mark.parametrize("line", [
    b"{]", b"no JSON", b'{"custom_id":"a",}', b"\xff\xfe",
    b'{"custom_id":"a","method":"POST","url":"/v1/completions","body":{"prompt":"a"'])
def test_a_line_that_is_no_json_is_blamed_for_that(client, line):
    batch = wait(client, begin(client, lines(1) + line + b"\n"), "failed")
    error = batch.errors.data[0]
    assert error.line == 2 and "line 2" in error.message and "is not valid JSON" in error.message, error.message
    assert "'url'" not in error.message


@pytest.mark.parametrize("place", ["/proc", "/sys"])
def test_a_folder_that_takes_no_files_is_refused_at_the_start(place):
    with pytest.raises(RuntimeError, match=f"ended with 1: [^\n]*no file can be made in the folder {place}: .*\n$"):
        Server(*OPTIONS, "--files", place)


def test_batches_of_nothing_are_refused(client):
    with pytest.raises(openai.NotFoundError):
        client.batches.create(
            input_file_id="file-" + "a" * 24, endpoint="/v1/completions", completion_window="24h")
    for wrong in ({"endpoint": "/v1/fill"}, {"completion_window": "soon"}, {"metadata": {"a": "x" * 5000}}):
        with pytest.raises(openai.BadRequestError):
            begin(client, lines(1), **wrong)
    for path in ("/v1/files/..%2f..%2fetc%2fpasswd/content", "/v1/files/%2e%2e/content", "/v1/batches/../files"):
        with keep_open(keeping_port(client)) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            assert b" 404 " in connection.makefile("rb").readline()


def keeping_port(client):
    return client.base_url.port


def keep_open(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(60)
    return connection


def test_the_document_has_the_routes(keeping):
    paths = json.loads(keeping.get("/openapi.json"))["paths"]
    assert set(paths["/v1/files"]) == {"get", "post"} and "delete" in paths["/v1/files/{id}"]
    assert {"/v1/files/{id}/content", "/v1/batches", "/v1/batches/{id}", "/v1/batches/{id}/cancel"} <= paths.keys()
    text = keeping.get("/metrics").decode()
    assert 'route="/v1/files/{id}/content"' in text and "file-" not in text


def test_nobody_sees_what_another_key_has_sent(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("first\nsecond\n")
    with Server(*OPTIONS, "--files", str(tmp_path / "kept"), "--api-key-file", str(keys)) as server:
        first, second = client_of(server, "first"), client_of(server, "second")
        batch = wait(first, begin(first, lines(1)), "completed")
        for ask in (
            lambda: second.files.retrieve(batch.input_file_id), lambda: second.files.content(batch.output_file_id),
            lambda: second.files.delete(batch.input_file_id), lambda: second.batches.retrieve(batch.id),
            lambda: second.batches.cancel(batch.id), lambda: begin_of(second, batch.input_file_id),
        ):
            with pytest.raises(openai.NotFoundError):
                ask()
        assert not second.files.list().data and not second.batches.list().data
        with pytest.raises(openai.AuthenticationError):
            client_of(server, "third").files.list()
        assert len(first.files.list().data) == 2
        assert "first" not in "".join(path.read_text() for path in (tmp_path / "kept").glob("*.json")).replace(
            "first_id", "")
        assert server.stop() == 0


def begin_of(client, file):
    return client.batches.create(input_file_id=file, endpoint="/v1/completions", completion_window="24h")


def test_limits_are_sentences(tmp_path):
    limits = ("--max-files", "4", "--files-limit", "20KB")
    with Server(*OPTIONS, "--files", str(tmp_path), *limits) as server:
        client = client_of(server)
        with pytest.raises(openai.InternalServerError, match="take more than"):
            upload(client, b"x" * 30_000)
        files = [upload(client, lines(1)) for _ in range(3)]
        # There would be no room for what comes of it.
        with pytest.raises(openai.InternalServerError, match="room"):
            begin_of(client, files[0].id)
        upload(client, lines(1))
        with pytest.raises(openai.InternalServerError, match="as many files"):
            upload(client, lines(1))
        client.files.delete(files[1].id)
        client.files.delete(files[2].id)
        wait(client, begin_of(client, files[0].id), "completed")
        assert server.stop() == 0


def test_a_batch_is_cancelled_and_keeps_its_answers(tmp_path):
    with Server(*SLOW, "--files", str(tmp_path), "--max-batch", "2") as server:
        client = client_of(server)
        batch = begin(client, lines(200, tokens=20))
        waiting = begin(client, lines(5))
        batch = wait(client, batch, "in_progress", until=lambda b: b.request_counts.completed >= 2)
        with pytest.raises(openai.BadRequestError, match="cancel"):
            client.files.delete(batch.input_file_id)
        assert client.batches.retrieve(waiting.id).status == "validating"
        assert client.batches.cancel(batch.id).status in ("cancelling", "cancelled")
        batch = wait(client, batch, "cancelled")
        assert batch.cancelling_at <= batch.cancelled_at
        found = answers(client, batch.output_file_id)
        assert 2 <= batch.request_counts.completed == len(found) < 200
        # The next one has its turn.
        assert wait(client, waiting, "completed").request_counts.completed == 5
        assert not [name for name in kept(tmp_path) if "answers" in name]
        assert server.stop() == 0


def test_a_batch_goes_on_after_the_server_was_killed(tmp_path):
    content = lines(24, tokens=16)
    kept_in = tmp_path / "kept"
    options = (*SLOW, "--files", str(kept_in), "--max-batch", "3")
    with Server(*options) as server:
        client = client_of(server)
        batch = begin(client, content)
        wait(client, batch, "in_progress", until=lambda b: b.request_counts.completed >= 3)
        server.stop(signal.SIGKILL)
    with Server(*options) as server:
        client = client_of(server)
        wait(client, batch, "in_progress", until=lambda b: b.request_counts.completed >= 6)
        # An ordinary stop leaves it to the next server as well, and does not wait for it.
        assert server.stop() == 0
    with Server(*OPTIONS, "--files", str(kept_in)) as server:
        client = client_of(server)
        batch = wait(client, batch, "completed")
        assert answers(client, batch.output_file_id) == by_command(content, tmp_path)
        assert sorted(kept(kept_in)) == sorted(
            [batch.id + ".json"] + [
                name + ending for name in (batch.input_file_id, batch.output_file_id) for ending in ("", ".json")])
        assert server.stop() == 0


@pytest.mark.parametrize("how", ["expired", "cancelled"])
def test_what_was_answered_stays_where_a_batch_cannot_go_on(tmp_path, how):
    """The next server would give other answers, and its time is over, or somebody cancels it."""
    with Server(*SLOW, "--files", str(tmp_path), "--max-batch", "3") as server:
        client = client_of(server)
        batch = begin(client, lines(100, tokens=16))
        wait(client, batch, "in_progress", until=lambda b: b.request_counts.completed >= 2)
        assert server.stop() == 0
    record = tmp_path / (batch.id + ".json")
    if how == "expired":
        record.write_text(record.read_text().replace(str(batch.expires_at), str(batch.created_at)))
    with Server(*OPTIONS, "--files", str(tmp_path), "--kv", "f32") as server:
        client = client_of(server)
        if how == "cancelled":
            # It waits, and the next one has its turn.
            wait(client, begin(client, lines(1)), "completed")
            assert client.batches.retrieve(batch.id).status == "in_progress"
            client.batches.cancel(batch.id)
        batch = wait(client, batch, how)
        found = answers(client, batch.output_file_id)
        assert 2 <= len(found) == batch.request_counts.completed < 100
        assert re.search(f"warning: {batch.id} was begun with kv [^\n]*f32[^\n]*, and waits; ", "".join(server.errors))
        assert server.stop() == 0


def test_a_batch_that_cannot_go_on_ends_beside_the_one_that_runs(tmp_path):
    """And clients are told meanwhile for what it waits."""
    with Server(*SLOW, "--files", str(tmp_path), "--max-batch", "3") as server:
        client = client_of(server)
        batch = begin(client, lines(100, tokens=16))
        wait(client, batch, "in_progress", until=lambda b: b.request_counts.completed >= 2)
        assert server.stop() == 0
    with Server(*SLOW, "--files", str(tmp_path), "--max-batch", "3", "--kv", "f32") as server:
        client = client_of(server)
        running = begin(client, lines(400, tokens=30))
        wait(client, running, "in_progress", until=lambda b: b.request_counts.completed >= 1)
        assert client.batches.retrieve(running.id).waits_for is None
        assert client.batches.retrieve(batch.id).waits_for["code"] == "other_options"
        client.batches.cancel(batch.id)
        batch = wait(client, batch, "cancelled", seconds=10)
        assert batch.waits_for is None and len(answers(client, batch.output_file_id)) >= 2
        assert client.batches.retrieve(running.id).status == "in_progress"
        client.batches.cancel(running.id)
        wait(client, running, "cancelled")
        assert server.stop() == 0


@pytest.mark.parametrize("log", [(), ("--log", "json")])
def test_answers_of_the_last_moments_before_a_kill_are_counted(tmp_path, log):
    """What is kept of a batch is older than its answers, and the next server only ends it."""
    with Server(*SLOW, "--files", str(tmp_path), "--max-batch", "3") as server:
        client = client_of(server)
        batch = begin(client, lines(100, tokens=16))
        batch = wait(client, batch, "in_progress", until=lambda b: b.request_counts.completed >= 3)
        server.stop(signal.SIGKILL)
    record = tmp_path / (batch.id + ".json")
    record.write_text(re.sub('"completed":[0-9]+', '"completed":0', record.read_text()))
    with Server(*OPTIONS, "--files", str(tmp_path), "--kv", "f32", *log) as server:
        client = client_of(server)
        counted = client.batches.retrieve(batch.id).request_counts
        assert 1 <= counted.completed < counted.total == 100
        client.batches.cancel(batch.id)
        batch = wait(client, batch, "cancelled")
        assert batch.request_counts == counted and len(answers(client, batch.output_file_id)) == counted.completed
        assert server.stop() == 0
    said = [line for line in "".join(server.errors).splitlines() if "was begun with" in line]
    assert len(said) == 1
    warning = json.loads(said[0])["warning"] if log else said[0].removeprefix("warning: ")
    assert warning.startswith(batch.id + " was begun with kv ")


def test_a_batch_waits_for_a_server_that_gives_its_answers(tmp_path):
    content, kept_in = lines(24, tokens=16), tmp_path / "kept"
    with Server(*SLOW, "--files", str(kept_in), "--max-batch", "3") as server:
        client = client_of(server)
        batch = begin(client, content)
        wait(client, batch, "in_progress", until=lambda b: b.request_counts.completed >= 2)
        assert server.stop() == 0
    with Server(*OPTIONS, "--files", str(kept_in), "--kv", "f32") as server:
        assert client_of(server).batches.retrieve(batch.id).status == "in_progress"
        assert server.stop() == 0
    with Server(*OPTIONS, "--files", str(kept_in)) as server:
        batch = wait(client_of(server), batch, "completed")
        assert answers(client_of(server), batch.output_file_id) == by_command(content, tmp_path)
        assert server.stop() == 0


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can make a small file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(path):
    with open(path, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096) == 4096:
                pass
        except OSError:
            pass


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_batch_waits_for_room_on_a_full_disk(small_disk, tmp_path, is_killed):
    content = lines(30, tokens=16)
    options = (*SLOW, "--files", str(small_disk / "kept"), "--max-batch", "3")
    server = Server(*options)
    with server:
        client = client_of(server)
        batch = begin(client, content)
        wait(client, batch, "in_progress", until=lambda b: b.request_counts.completed >= 3)
        fill(small_disk / "filler")
        size = None
        while size != (size := (small_disk / "kept" / (batch.id + ".answers")).stat().st_size):
            time.sleep(2)
        batch = client.batches.retrieve(batch.id)
        assert batch.status == "in_progress" and batch.output_file_id is None and batch.request_counts.completed < 30
        if is_killed:
            server.stop(signal.SIGKILL)
            server = Server(*options)
        with server:
            client = client_of(server)
            (small_disk / "filler").unlink()
            batch = wait(client, batch, "completed")
            assert answers(client, batch.output_file_id) == by_command(content, tmp_path)
            assert client.files.retrieve(batch.output_file_id).bytes > 0
            assert not [name for name in kept(small_disk / "kept") if "answers" in name or "part" in name]
            assert server.stop() == 0
    if not is_killed:
        # It tried again and again meanwhile.
        assert "".join(server.errors).count(f"warning: {batch.id} waits until the folder ") == 1


def test_answers_stay_within_the_limit_and_their_owner(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir(mode=0o755)
    content = lines(40, tokens=16)
    with Server(*OPTIONS, "--files", str(folder), "--files-limit", str(len(content) + 5000)) as server:
        client = client_of(server)
        batch = wait(client, begin(client, content), "failed")
        assert "more than the files may" in batch.errors.data[0].message
        assert 0 < batch.request_counts.completed == len(answers(client, batch.output_file_id)) < 40
        files = client.files.list().data
        assert {file.id for file in files} == {batch.input_file_id, batch.output_file_id}
        assert sum(file.bytes for file in files) <= len(content) + 5000
        # Others may look into the folder, but not into what is in it.
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert server.stop() == 0


def test_a_live_request_is_answered_beside_a_batch(tmp_path):
    """And its bytes are those of a server on which nobody else is."""
    with Server(*SLOW, "--files", str(tmp_path), "--max-batch", "3") as server:
        client = client_of(server)
        batch = begin(client, lines(300, tokens=30))
        wait(client, batch, "in_progress", until=lambda b: b.request_counts.completed >= 1)
        asked = dict(model="any", prompt=POEM, max_tokens=8, seed=5)
        beside = client.completions.create(**asked).choices[0].text
        batch = client.batches.retrieve(batch.id)
        # It did not wait for the batch's end.
        assert batch.status == "in_progress" and batch.request_counts.completed < 300
        client.batches.cancel(batch.id)
        wait(client, batch, "cancelled")
        assert client.completions.create(**asked).choices[0].text == beside
        assert server.metric("leafcutter_memory_peak_bytes") <= server.metric("leafcutter_memory_budget_bytes")
        assert server.stop() == 0
