"""lm-evaluation-harness against the server: `local-completions` with the remote tokenizer."""
import itertools
import json
import os
import pathlib
import subprocess
import sys

import pytest

from conftest import BIN, MODEL, POEM, command

# Nothing is asked of the network.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
pytest.importorskip("lm_eval")
sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "python/tests"))
from lm_eval_tasks import CHOICE, LINES, UNTIL, evaluate  # noqa: E402

BEGIN = 6


def harness(server, **options):
    from lm_eval.api.registry import get_model

    words = {"model": "demo", "base_url": server.url + "/v1/completions", "tokenizer_backend": "remote", **options}
    return get_model("local-completions").create_from_arg_string(
        ",".join(f"{name}={value}" for name, value in words.items()))


@pytest.fixture(scope="module", params=[(1, 1), (4, 1), (2, 3)], ids=["one by one", "in batches", "side by side"])
def model(request, server):
    return harness(server, batch_size=request.param[0], num_concurrent=request.param[1])


def ask(kind, *arguments):
    from lm_eval.api.instance import Instance

    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)


def scores(targets, folder):
    """What `leafcutter score` gives for texts behind `<s>`, each token predicted from those before it."""
    path = folder / "targets.jsonl"
    path.write_text("".join(
        json.dumps({"id": i, "context_ids": [BEGIN], "target_ids": ids}) + "\n" for i, ids in enumerate(targets)))
    return own("score", "--requests", str(path), "--ordered", "--quiet")[:len(targets)]


def own(name, *words):
    """The lines that a command prints."""
    result = subprocess.run([BIN, name, MODEL, *words], capture_output=True, check=True, text=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_tokenizer_of_the_server_is_found_by_itself(server):
    from lm_eval.utils import check_remote_tokenizer_support

    assert check_remote_tokenizer_support(server.url + "/v1/completions")
    model = harness(server, tokenizer_backend="auto")
    assert model.tokenizer_backend == "remote"
    assert (model.prefix_token_id, model.eot_token_id, model.eos_string) == (BEGIN, 7, "</s>")
    text = "床前明月光，\n疑是地上霜。"
    assert model.tok_encode(text) == own("tokenize", text, "--json")[0]["ids"]
    assert model.decode_batch([model.tok_encode(text)]) == [text]
    assert model.tok_encode([text, "春"]) == [model.tok_encode(text), model.tok_encode("春")]


def test_a_text_has_the_likelihood_that_perplexity_gives(model, folder):
    path = folder / "text.txt"
    for text in ["白日依山尽，黄河入海流。", POEM + "白日依山尽"]:
        path.write_text(text, encoding="utf-8")
        [wanted] = own("perplexity", str(path), "--prefix", "1", "--json", "--quiet")
        [(whole, _)] = model.loglikelihood([ask("loglikelihood", "", text)], disable_tqdm=True)
        [rolled] = model.loglikelihood_rolling([ask("loglikelihood_rolling", text)], disable_tqdm=True)
        assert whole == pytest.approx(wanted["logprob"], rel=1e-12)
        assert rolled == pytest.approx(wanted["logprob"], rel=1e-12)


def test_likelihoods_and_greed_are_those_of_the_command(model, tmp_path):
    rows = [{"context": c, "options": o, "answer": a} for c, o, a in LINES]
    result, samples = evaluate(model, tmp_path, "lines", "multiple_choice", rows, CHOICE)
    assert result["acc,none"] == 1.0
    contexts = [model.tok_encode(context) for context, _, _ in LINES]
    wholes = [[model.tok_encode(context + option) for option in options] for context, options, _ in LINES]
    expected = iter(scores(list(itertools.chain.from_iterable(wholes)), tmp_path))
    for sample in sorted(samples, key=lambda sample: sample["doc_id"]):
        skipped = len(contexts[sample["doc_id"]])
        for logprob, is_greedy in sample["filtered_resps"]:
            wanted = next(expected)
            assert float(logprob) == pytest.approx(sum(wanted["token_logprobs"][skipped:]), rel=1e-12)
            assert (str(is_greedy) == "True") == all(rank == 1 for rank in wanted["ranks"][skipped:])


def test_a_long_text_is_rolled_over_in_windows(server, tmp_path):
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    model = harness(server, max_length=42)
    text = "白日依山尽，黄河入海流。" * 12
    ids = model.tok_encode(text)
    windows = [make_disjoint_window(pair) for pair in get_rolling_token_windows(ids, BEGIN, model.max_length - 1, 1)]
    assert len(windows) > 2
    # The server puts `<s>` in front of a window that does not begin with it.
    wholes = [seen[seen[0] == BEGIN:] + new for seen, new in windows]
    expected = sum(
        sum(score["token_logprobs"][-len(new):]) for score, (_, new) in zip(scores(wholes, tmp_path), windows))
    [found] = model.loglikelihood_rolling([ask("loglikelihood_rolling", text)], disable_tqdm=True)
    assert found == pytest.approx(expected, rel=1e-12)


def test_texts_are_generated_until_a_stop(model, tmp_path):
    rows = [{"title": POEM, "first": "白日依山尽"}, {"title": "《枫桥夜泊》张继\n", "first": "月落乌啼霜满天"}]
    result, _ = evaluate(model, tmp_path, "poems", "generate_until", rows, UNTIL)
    assert result["exact_match,none"] == 1.0


def test_texts_may_travel_as_texts(server, folder):
    model = harness(server, tokenized_requests="False")
    text = "白日依山尽，黄河入海流。"
    [(tail, _)] = model.loglikelihood([ask("loglikelihood", text[:6], text[6:])], disable_tqdm=True)
    [wanted] = scores([model.tok_encode(text)], folder)
    assert tail == pytest.approx(sum(wanted["token_logprobs"][len(model.tok_encode(text[:6])):]), rel=1e-12)
    [line] = model.generate_until(
        [ask("generate_until", POEM, {"until": ["\n"], "max_gen_toks": 12})], disable_tqdm=True)
    assert line == command("generate", POEM, "--greedy", "--max-tokens", "12", "--stop", "\n")["text"]
