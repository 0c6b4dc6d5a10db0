"""Files of requests: whole, and line by line."""

import json
import os
import shutil
import signal
import threading

import pytest
from conftest import MEMORY

import leafcutter

REQUESTS = [
    {"id": "a", "kind": "generate", "prompt": "春", "max_tokens": 6},
    {"id": 2, "kind": "generate", "prompt": "《静夜思》李白\n", "greedy": True, "max_tokens": 9, "logprobs": 2},
    {"kind": "fill", "text": "床前<blank:1>光", "id": "fill"},
    {"id": "score", "kind": "score", "context": "床前明月", "target": "光"},
    {"id": "choice", "kind": "score", "input": "水变成", "options": ["冰。", "火。"], "rule": "likelihood"},
    {"id": "embed", "kind": "embed", "text": "疑是地上霜"},
    {"custom_id": "o", "method": "POST", "url": "/v1/completions", "body": {"prompt": ["夏", "秋"], "max_tokens": 5}},
    {"id": "many", "kind": "generate", "prompt": "冬", "max_tokens": 4, "n": 3},
]


def write(path, requests):
    path.write_text("".join(json.dumps(request, ensure_ascii=False) + "\n" for request in requests), "utf-8")
    return path


@pytest.fixture
def requests(tmp_path):
    return write(tmp_path / "in.jsonl", REQUESTS)


def lines(path):
    return sorted(path.read_bytes().splitlines())


def test_batch_gives_the_bytes_of_the_command(tmp_path, model_path, requests, command):
    seen = []
    result = leafcutter.batch(
        model_path, requests, tmp_path / "out.jsonl", memory=MEMORY, seed=7, progress=lambda *now: seen.append(now)
    )
    assert (result.requests, result.done, result.failed, result.done_before) == (8, 8, 0, 0)
    assert result.tokens > 20 and seen[-1] == (8, 8)
    command("batch", requests, tmp_path / "command.jsonl", "--seed", 7)
    assert lines(tmp_path / "out.jsonl") == lines(tmp_path / "command.jsonl")
    assert len(lines(tmp_path / "out.jsonl")) == 8


def test_batch_goes_on_after_ctrl_c(tmp_path, model_path, requests, least):
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    leafcutter.batch(model_path, requests, whole, memory=MEMORY, seed=7)

    def stop(done, total):
        # While it is checked, nothing is done of some.
        if done > 0 or (total == 8 and out.stat().st_size == 0):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        # Each reading of the model takes minutes.
        leafcutter.batch(
            model_path, requests, out, memory=least, batch=1, threads=1, seed=7, max_read_rate="20kB/s", progress=stop
        )
    with pytest.raises(leafcutter.UsageError, match="exists"):
        leafcutter.batch(model_path, requests, out, memory=MEMORY)
    assert leafcutter.batch(model_path, requests, out, memory=MEMORY, resume=True).done == 8
    assert lines(out) == lines(whole)
    assert leafcutter.batch(model_path, requests, out, memory=MEMORY, resume=True).done_before == 8


def test_what_fails_is_answered_and_what_makes_no_sense_is_named(tmp_path, model_path):
    bad = write(tmp_path / "bad.jsonl", [REQUESTS[0], {"id": "x", "kind": "fill", "text": "no blank"}])
    with pytest.raises(leafcutter.UsageError, match="line 2"):
        leafcutter.batch(model_path, bad, tmp_path / "out.jsonl", memory=MEMORY)
    assert not (tmp_path / "out.jsonl").exists()
    result = leafcutter.batch(
        model_path, bad, tmp_path / "out.jsonl", memory=MEMORY, skip_bad=True, errors=tmp_path / "failed.jsonl"
    )
    assert (result.done, result.failed) == (2, 1)
    assert [json.loads(line)["id"] for line in lines(tmp_path / "failed.jsonl")] == ["x"]


def test_errors_of_a_job_say_what_is_wrong(tmp_path, model_path, requests):
    out = tmp_path / "out.jsonl"
    with pytest.raises(leafcutter.FileError):
        leafcutter.batch(tmp_path / "none.leaf", requests, out)
    with pytest.raises(leafcutter.FileError):
        leafcutter.batch(model_path, tmp_path / "none.jsonl", out)
    with pytest.raises(leafcutter.BudgetError) as failure:
        leafcutter.batch(model_path, requests, out, memory="8MiB")
    assert failure.value.minimum > 8 << 20
    with pytest.raises(leafcutter.UsageError, match="context"):
        leafcutter.batch(model_path, requests, out, context=100)
    with pytest.raises(TypeError):
        leafcutter.batch(model_path, b"in.jsonl", out)
    assert not out.exists() and not out.with_name("out.jsonl.job").exists()


def answered(path, requests, out, **options):
    """A job whose lines a model of this process has answered, and the answers."""
    job = leafcutter.Job(path, requests, out, seed=7, **options)
    info = job.info
    with leafcutter.Model(
        path, memory=MEMORY, context=info["context"], sequences=max(4, info["sequences"]), logit_rows=16
    ) as model:
        answers = list(model.answer_lines(job))
    return job, answers


def test_lines_that_others_answer_become_the_answers_of_batch(tmp_path, model_path, requests):
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    leafcutter.batch(model_path, requests, whole, memory=MEMORY, seed=7)
    job, answers = answered(model_path, requests, out)
    with job:
        # In any order, and twice.
        for wrong in (answers[0].decode(), None, bytearray(answers[0])):
            with pytest.raises(TypeError, match="the bytes are needed"):
                job.answer(wrong)
        assert [job.answer(answer) for answer in reversed(answers)] == [True] * 8
        assert [job.answer(answer) for answer in answers] == [False] * 8
        job.sync()
        result = leafcutter.batch(model_path, requests, tmp_path / "counted.jsonl", memory=MEMORY, seed=7)
        assert job.result == result and result.tokens > 20
    assert lines(out) == lines(whole)
    # The command's job and this one are the same.
    assert leafcutter.batch(model_path, requests, out, resume=True).done_before == 8


def test_an_answer_is_taken_as_the_job_would_write_it(tmp_path, model_path, requests):
    job, answers = answered(model_path, requests, tmp_path / "out.jsonl")

    def changed(number, change):
        fields = json.loads(answers[number])
        answer = json.loads(fields["answer"])
        change(fields, answer)
        return json.dumps({**fields, "answer": json.dumps(answer)}).encode()

    with job:
        for number, fields in enumerate(json.loads(answer) for answer in answers):
            for change in (
                lambda fields, answer: answer.clear(),
                lambda fields, answer: answer.update({"custom_id" if "custom_id" in answer else "id": "another"}),
                lambda fields, answer: answer.pop(list(answer)[1]),
                lambda fields, answer: fields.update(failed=True),
                lambda fields, answer: answer.update(error="no"),
                lambda fields, answer: fields.update(line=fields["line"] % 8 + 1),
            ):
                with pytest.raises(leafcutter.UsageError, match="no answer to line"):
                    job.answer(changed(number, change))
        assert job.info["done"] == 0
        assert [job.answer(answer) for answer in answers] == [True] * 8


EVERY_SHAPE = [
    {"kind": "generate", "prompt": "春", "max_tokens": 3, "n": 2, "logprobs": 2},
    {"kind": "generate", "prompt": "春", "max_tokens": 3, "beams": 2},
    {"kind": "fill", "text": "床前<blank:2>光"},
    {"kind": "score", "context": "床前", "target": "明月"},
    {"kind": "score", "input": "床前", "options": ["明月", "风"]},
    {"kind": "score", "input": "床前", "rule": "rank"},
    {"kind": "embed", "text": "秋风"},
    {"kind": "embed", "text": "秋风", "pool": "none"},
    {"url": "/v1/completions", "body": {"prompt": "春", "max_tokens": 3}},
    {"url": "/v1/completions", "body": {"prompt": "春", "max_tokens": 3, "logprobs": 2}},
    {
        "url": "/v1/chat/completions",
        "body": {
            "messages": [{"role": "user", "content": "春"}], "max_tokens": 3, "logprobs": True, "top_logprobs": 2,
        },
    },
    {"url": "/v1/embeddings", "body": {"input": ["春", "秋"]}},
    {"url": "/v1/embeddings", "body": {"input": "春", "encoding_format": "base64"}},
]


def places(value, path=()):
    """The path of every value, of lists those of the first one."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, one in inner:
        yield from places(one, (*path, name))


def test_an_answer_has_values_of_the_kinds_that_the_job_writes(tmp_path, model_path):
    requests = write(
        tmp_path / "in.jsonl",
        [
            {**({"custom_id": f"r{i}", "method": "POST"} if "url" in one else {"id": i}), **one}
            for i, one in enumerate(EVERY_SHAPE)
        ],
    )
    job, answers = answered(model_path, requests, tmp_path / "out.jsonl")

    def refused(fields, text):
        with pytest.raises(leafcutter.UsageError, match="no answer to"):
            job.answer(json.dumps({**fields, "answer": text}).encode())

    with job:
        for fields in map(json.loads, answers):
            assert not fields["failed"], fields
            for path in list(places(json.loads(fields["answer"])))[1:]:
                answer = json.loads(fields["answer"])
                inner = answer
                for name in path[:-1]:
                    inner = inner[name]
                inner[path[-1]] = True
                refused(fields, json.dumps(answer))
            for text in (" " + fields["answer"], fields["answer"].replace(",", ",\r", 1), fields["answer"] + "\r"):
                refused(fields, text)
        assert job.info["done"] == 0
        assert all(job.answer(answer) for answer in answers)
    assert len(lines(tmp_path / "out.jsonl")) == len(EVERY_SHAPE)


def test_batch_goes_on_with_a_job_that_others_began(tmp_path, model_path, requests):
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    leafcutter.batch(model_path, requests, whole, memory=MEMORY, seed=7)
    job, answers = answered(model_path, requests, out)
    with job:
        for answer in answers[3:6]:
            job.answer(answer)
    assert leafcutter.batch(model_path, requests, out, memory=MEMORY, resume=True).done_before == 3
    assert lines(out) == lines(whole)
    out.write_bytes(out.read_bytes().replace(b"\n", b"", 1))
    with pytest.raises(leafcutter.BadInputError):
        leafcutter.Job(model_path, requests, out, resume=True)


def test_an_answer_that_differs_from_the_first_is_a_defect(tmp_path, model_path, requests):
    job, answers = answered(model_path, requests, tmp_path / "out.jsonl")
    with job:
        for answer in answers:
            job.answer(answer)
        changed = json.loads(answers[0])
        changed["answer"] = changed["answer"].replace("春", "夏").replace('"id"', '"ID"')
        with pytest.raises(leafcutter.BadInputError, match="line 1 was answered twice"):
            job.answer(json.dumps(changed, ensure_ascii=False).encode())
        # What came first stays, and the job goes on.
        assert job.answer(answers[0]) is False
    assert len(lines(tmp_path / "out.jsonl")) == 8


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"{}", b"[]", b"\xff", b'{"line":99,"failed":false,"answer":"{}"}',
        b'{"line":0,"failed":false,"answer":"{}"}', b'{"line":-9,"failed":false,"answer":"{}"}',
        b'{"line":1,"failed":false,"answer":"{}\\n{}"}', b'{"line":1,"failed":false,"answer":"no object"}',
        b'{"line":1,"failed":false,"answer":"{}"',
    ],
)
def test_what_is_no_answer_is_refused(tmp_path, model_path, requests, answer):
    with leafcutter.Job(model_path, requests, tmp_path / "out.jsonl") as job:
        # Before a line was handed out, and after.
        for _ in range(2):
            with pytest.raises(leafcutter.UsageError):
                job.answer(answer)
            next(iter(job))
    assert not (tmp_path / "out.jsonl").read_bytes()


def test_a_model_that_would_give_other_answers_refuses_the_line(tmp_path, model_path, requests):
    with leafcutter.Job(model_path, requests, tmp_path / "out.jsonl", kv="f32") as job:
        with leafcutter.Model(model_path, memory=MEMORY, sequences=4) as model:
            with pytest.raises(leafcutter.BadInputError, match="line 1 belongs to a job of another"):
                next(model.answer_lines(job))


def test_a_job_belongs_to_one_process_at_a_time(tmp_path, model_path, requests):
    out = tmp_path / "out.jsonl"
    job = leafcutter.Job(model_path, requests, out)
    next(iter(job))
    with pytest.raises(leafcutter.FileError):
        leafcutter.Job(model_path, requests, out, resume=True)
    job.close()
    job.close()
    with pytest.raises(leafcutter.UsageError):
        job.sync()
    leafcutter.Job(model_path, requests, out, resume=True).close()


def test_a_request_that_fails_has_the_answer_of_batch(tmp_path, model_path):
    # Two lines of one id: the second is answered by an error at once, and not handed out.
    requests = write(tmp_path / "in.jsonl", [REQUESTS[0], REQUESTS[0], {"id": "x", "kind": "fill", "text": "none"}])
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    leafcutter.batch(model_path, requests, whole, memory=MEMORY, seed=7, skip_bad=True)
    job, answers = answered(model_path, requests, out, skip_bad=True)
    with job:
        assert [job.answer(answer) for answer in answers] == [True]
        assert job.result.failed == 2
    assert lines(out) == lines(whole)


def test_several_threads_answer_one_job(tmp_path, model_path):
    requests = write(tmp_path / "in.jsonl", [{"kind": "embed", "text": "春" * (1 + i % 9)} for i in range(60)])
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    leafcutter.batch(model_path, requests, whole, memory=MEMORY, seed=7)
    job, answers = answered(model_path, requests, out)
    threads = [threading.Thread(target=lambda part=part: list(map(job.answer, answers[part::4]))) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job.close()
    assert lines(out) == lines(whole)


def test_verify_names_what_is_damaged(tmp_path, model_path):
    seen = []
    leafcutter.verify(model_path, progress=lambda *now: seen.append(now))
    size = model_path.stat().st_size
    assert seen[-1] == (size, size)
    damaged = tmp_path / "damaged.leaf"
    shutil.copy(model_path, damaged)
    with damaged.open("r+b") as file:
        file.seek(size // 2)
        byte = file.read(1)
        file.seek(size // 2)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(leafcutter.BadInputError):
        leafcutter.verify(damaged)
    with pytest.raises(leafcutter.FileError):
        leafcutter.verify(tmp_path / "none.leaf")
