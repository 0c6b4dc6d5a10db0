"""seeds.py LEAFCUTTER GOLDEN FOLDER

Writes what fuzzing begins with to FOLDER/READER/: golden files, parts of them, and a model and a session that
LEAFCUTTER makes.
"""
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import zipfile

program, golden, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
MOST = 65536


def seed(reader, name, data):
    target = folder / reader
    target.mkdir(parents=True, exist_ok=True)
    if len(data) <= MOST:
        (target / name).write_bytes(data)


def header(path):
    data = path.read_bytes()
    return data[8:8 + struct.unpack("<Q", data[:8])[0]]


def run(*arguments):
    subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def segmenter(words):
    """Segmenter data of a few words of one character; the form is described at `SegmenterData`."""
    alphabet = sorted(words)
    weights = [-20.0] + sorted(set(words.values()))
    nodes = bytearray()
    for number, word in enumerate(alphabet):
        nodes += bytes([0, weights.index(words[word]) << 2 | (number == len(alphabet) - 1)])
    never = -3.14e100
    body = b"".join(struct.pack("<H", ord(c)) for c in alphabet)
    body += struct.pack(f"<{len(weights)}d", *weights) + struct.pack("<4d", never, never, never, 0)
    body += struct.pack("<8d", *[-1] * 8) + struct.pack("<d", -0.5) + bytes([0, 8, 0]) + nodes
    counts = [1, 36 + len(body), len(alphabet), len(weights), len(alphabet), 1, 1]
    return b"LEAFSEGM" + struct.pack("<7I", *counts) + body


shutil.rmtree(folder, ignore_errors=True)
for path in sorted(golden.rglob("*.safetensors")):
    seed("header", path.name, header(path))
    seed("adapter", path.name, path.read_bytes())
for path in sorted(golden.rglob("*.pt")):
    for reader in ("zip", "adapter", "masks"):
        seed(reader, path.name, path.read_bytes())
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith("data.pkl"):
                    seed("pickle", path.name, archive.read(name))
for number, opcodes in enumerate((b"N", b"]", b"}", b"(", b"\x8c\0", b"Nq\0", b"K\1", b"\x94")):
    seed("pickle", f"many-{number}", b"\x80\2" + (b"" if number < 7 else b"N") + opcodes * 30000 + b".")
for path in sorted(golden.rglob("*.txt")):
    seed("vocabulary", path.name, path.read_bytes())
seed("vocabulary", "few", "<pad>\n<unk>\n<mask>\n<s>\n</s>\n一\n一二\n三\n".encode())
seed("segmenter", "few", segmenter({"一": -1.0, "二": -2.0, "三": -1.0}))

def text(value):
    return struct.pack("<I", len(value)) + value.encode()


def session(fields, prompt, texts):
    """Contents of a session (Documentation/session.md) with `logprobs`, without pages."""
    data = struct.pack("<I", len(fields)) + b"".join(text(n) + text(v) for n, v in fields)
    data += struct.pack(f"<I{len(prompt)}i", len(prompt), *prompt) + struct.pack("<QI", 5, max(map(len, texts)))
    for ids in texts:
        data += struct.pack(f"<I{len(ids)}iB", len(ids), *ids, 1)
        data += b"".join(struct.pack("<dIid", -1.0, 1, i, -0.5) for i in ids)
    return data


model = folder / "model.leaf"
run("synthesize", model, "--preset", "tiny")
data = model.read_bytes()
seed("chunks", "model", len(data).to_bytes(5, "little") + header(model))
fields = [("software", "1"), ("kv", "f16"), ("activations", "int16"), ("temperature", "0.5"), ("stop", "")]
seed("session", "contents", session(fields, [6, 7, 8], [[9, 10], [11]]))
run("generate", model, "--ids", "6,7", "--max-tokens", "1", "--session", folder / "text.session")
seed("session", "frames", b"\0" + (folder / "text.session").read_bytes())

lines = [
    {"id": "a", "prompt": "春", "n": 2, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": 5, "stop": ["。"]},
    {"id": 7, "input_ids": [6, 7, 8], "greedy": True, "max_tokens": 4, "logit_bias": {"7": -1.5}},
    {"id": 1, "text": "春<blank>秋", "blanks": [3], "beams": 2},
    {"id": 2, "prompt": "问", "options": ["甲", "乙"], "texts": ["春", "秋"]},
    {"prompt": "", "beams": 3, "length_penalty": 0.8, "early_stopping": True, "logprobs": 2},
    {"kind": "score", "context": "春", "target": "秋", "continuation": [6, 7], "normalize": "length"},
    {"kind": "perplexity", "text": "春秋", "prefix": 1, "stride": 4},
    {"kind": "embed", "input": ["春", [6, 7]], "pool": "last", "normalize": True},
    {"kind": "detokenize", "id": 3, "tokens": [6, 7, 8]},
    {"kind": "tokenize", "id": None, "text": "\U0001f600\n", "add_special_tokens": False},
]
for number, line in enumerate(lines):
    seed("requests", str(number), json.dumps(line, ensure_ascii=number % 2 == 0).encode())
cases = [
    {"id": "a", "input_ids": [6, 7, 8], "task": 2, "segment": 2},
    {"id": "b", "input": [0, 1, 6, 7], "length": 2, "context": [1, 1, 1, 0], "segment": [0, 0, 2, 2], "span": [0] * 4},
]
seed("cases", "both", json.dumps({"cases": cases}).encode())
seed("cases", "many", json.dumps({"cases": [{"id": "", "span": []}] * 200}).encode())
for path in (model, folder / "text.session"):
    path.unlink()

# What clients ask the server for: a byte for the route, in the order of `AnswerDesk.Route`.
run("convert", golden.parents[1] / "Examples/demo-model", folder / "demo.leaf")
message = {"role": "user", "content": "《春晓》孟浩然\n"}
parts = {"role": "system", "content": [{"type": "text", "text": "春"}, {"type": "text", "text": "眠"}]}
sampling = {
    "temperature": 0.5, "top_p": 0.9, "top_k": 3, "min_p": 0.1, "seed": 5, "stop": ["。", "\n"], "n": 2,
    "frequency_penalty": 0.5, "presence_penalty": -1, "repetition_penalty": 1.2, "logit_bias": {"7": -1.5},
}
bodies = [
    (0, {"prompt": "春眠不觉晓，", **sampling, "max_tokens": 4, "stream": True,
         "stream_options": {"include_usage": True}}),
    (0, {"prompt": [[6, 7, 8], [9]], "echo": True, "logprobs": 2, "max_tokens": 0, "return_token_ids": True}),
    (0, {"prompt": ["春", "秋"], "best_of": 3, "n": 2, "user": "a", "model": "m", "shiny": {"a": [1, None]}}),
    (0, {"prompt": "床前", "suffix": "举头望明月。", "max_tokens": 3, "greedy": True}),
    (0, {"prompt": [6, 7], "beams": 3, "length_penalty": 0.8, "early_stopping": True, "allow_empty": True}),
    (0, {"prompt": "春" * 200, "echo": True, "logprobs": 1, "task": 2, "segment": 2, "delta": None, "eos_id": 7}),
    (1, {"messages": [parts, message], "max_completion_tokens": 9, "logprobs": True, "top_logprobs": 2, **sampling}),
    (1, {"messages": [message], "tools": [], "response_format": {"type": "text"}, "stream": True}),
    (2, {"input": ["春", "秋"], "encoding_format": "base64", "pool": "last", "user": "a"}),
    (2, {"input": [[6, 7], [8]], "encoding_format": "float", "task": 1}),
    (3, {"id": 1, "text": "床前<blank:1>光，<blank>霜。", "max_blank": 3, "sample": True, "beams": 2}),
    (4, {"id": "a", "context": "春", "target": "秋", "normalize": "length"}),
    (4, {"context_ids": [6, 7], "target_ids": [8, 9]}),
    (4, {"input": "问", "options": ["甲", "乙"], "rule": "choice"}),
    (5, {"prompt": "\U0001f600</s>\n", "add_special_tokens": True}),
    (6, {"tokens": [6, 7, 8]}),
    # Of what takes most.
    (0, {"prompt": "春 " * 500}),
    (0, {"prompt": [6] * 600, "echo": True}),
    (0, {"prompt": ["a"] * 256, "echo": True, "logprobs": 20, "max_tokens": 0}),
    (0, {"prompt": [[6, 7]] * 256, "n": 8, "logprobs": 20, "return_token_ids": True}),
    (0, {"prompt": "春", "logit_bias": {str(i): 1 for i in range(200)}, "stop": ["a"] * 20}),
    (1, {"messages": [{"role": "user", "content": ""}] * 40}),
    (1, {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}] * 60}]}),
    (2, {"input": [[6]] * 256}),
    (3, {"text": "a<blank:1>" * 200}),
    (3, {"text": "<blank>" * 40, "max_blank": 256, "beams": 8}),
    (4, {"input": "春" * 400, "options": ["甲"] * 256}),
    (4, {"input": "春" * 430, "options": ["甲"] * 256, "rule": "choice"}),
    (4, {"context_ids": [6] * 300, "target_ids": [8] * 300}),
    (5, {"prompt": "a\U0001f600\n" * 200}),
    (5, {"prompt": "," * 2000}),
    (6, {"tokens": [7] * 600, **{str(i): i for i in range(40)}}),
]
for number, (route, body) in enumerate(bodies):
    seed("bodies", str(number), bytes([route]) + json.dumps(body, ensure_ascii=number in (0, 6)).encode())
for number, value in enumerate((
        "127.0.0.1:8080", "[::1]:80", "LEAF.example", "Bearer secret", "bearer  secret\t", "u=7, i", "i,u=3;a",
        "application/json; charset=utf-8")):
    seed("headers", str(number), value.encode())

# Forms with a file: a line with the type, a byte for the length of pieces, and the body.
field = b'Content-Disposition: form-data; name="'
whole = (
    b"--b\r\n" + field + b'purpose"\r\n\r\nbatch\r\n--b\r\n' + field + b'file"; filename="a\\"b.jsonl"\r\n'
    b"Content-Type: application/jsonl\r\n\r\n{}\n\r\n--\r\n--b--\r\n")
for number, (kind, body) in enumerate((
        (b"multipart/form-data; boundary=b", whole),
        (b'Multipart/Form-Data; charset=x; boundary="b"', b"x\r\n" + whole),
        (b"multipart/form-data; boundary=b", b"--b \t\r\n" + field + b'a"\r\n\r\n\r\n--b--'),
        (b"multipart/form-data; boundary=" + b"-" * 70, b"-" * 300), (b"multipart/form-data; boundary=b", whole * 8),
        (b"multipart/form-data; boundary=b", b"--b\r\nX: " + b"x" * 8170 + b"\r\n" + whole[5:]),
        (b"multipart/form-data; boundary=b", b"--b" + b" " * 8192 + whole[3:]))):
    seed("forms", str(number), kind + b"\n" + bytes([37 * number]) + body)

# What arrives on a connection: a byte for a request, chunks or the fields behind them, one for the length of pieces.
host = b"Host: localhost\r\n"
for number, (kind, data) in enumerate((
        (0, b"GET /health HTTP/1.1\r\n" + host + b"\r\n"), (0, b"\r\nGET http://localhost/ HTTP/1.0\r\n\r\n"),
        (0, b"POST /v1/fill HTTP/1.1\r\n" + host + b"Content-Length: 12 \t\r\nX:\t y\r\n\r\n{}          "),
        (0, b"POST / HTTP/1.1\r\n" + host
         + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\n01234\r\n0\r\nT: x\r\n\r\n"),
        (0, b"OPTIONS * HTTP/1.1\n" + host + b"Expect: 100-continue\nOrigin: null\n\n"),
        (1, b"0A \t;x=\"y;\"\r\n0123456789\r\n1\r\nz\r\n000;y\r\nTrailer: z\r\n\r\nGET"),
        (1, b"fff\r\n" + b"x" * 0xfff),
        (2, b"A: b\r\nC:\td \r\n\r\n"), (2, b"Content-Length: 5\r\n\r\n"))):
    seed("messages", str(number), bytes([kind, 37 * number % 256]) + data)

# Answers of workers: a byte for the kind, in the order of `Reader.readShape`.
usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
around = {"id": "cmpl-1", "object": "text_completion", "created": 0, "model": "ant", "usage": usage}
entry = {"token": "\u5c71", "logprob": -0.5, "bytes": [229, 177, 177]}
answers = [
    (0, {"id": 1, "text": "\u5c71", "ids": [8], "finish_reason": "stop", "prompt_tokens": 3, "completion_tokens": 1,
         "seed": 5, "unknown": ["\u2603"], "score": -0.5,
         "logprobs": [{"id": 8, "logprob": -0.5, "top": [{"id": 8, "logprob": None}]}],
         "choices": [{"text": None, "ids": [], "finish_reason": "length"}]}),
    (1, {"id": "a", "text": "\u5c71", "ids": [6, 8, 7], "seed": 0,
         "blanks": [{"start": 1, "ids": [8], "text": "\u5c71", "logprob": -1}]}),
    (2, {"id": 1, "embedding": [0.5, -1e-9], "tokens": 2}), (3, {"id": 1, "embedding": [[0.5], [1]], "tokens": 2}),
    (4, {**around, "choices": [{"text": "\u5c71", "index": 0, "finish_reason": "stop", "logprobs": {
        "tokens": ["\u5c71"], "token_logprobs": [None], "top_logprobs": [{"\u5c71": -0.5}], "text_offset": [0]}}]}),
    (5, {**around, "choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop",
                                "logprobs": {"content": [{**entry, "top_logprobs": [entry]}]}}]}),
]
for number, (kind, answer) in enumerate(answers):
    seed("shapes", str(number), bytes([kind]) + json.dumps(answer).encode())
