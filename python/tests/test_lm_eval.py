"""lm-evaluation-harness on the demo model."""

import os

import pytest
from conftest import MEMORY, POEM

# Nothing is asked of the network.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
pytest.importorskip("lm_eval")
from lm_eval_tasks import CHOICE, LINES, ROLLING, UNTIL, evaluate  # noqa: E402


@pytest.fixture(scope="module")
def harness(model_path):
    from leafcutter.lm_eval import LeafcutterLM

    # As --model_args gives them.
    return LeafcutterLM.create_from_arg_string(
        f"path={model_path},memory={MEMORY},context=160,threads=2", {"batch_size": 4, "device": None})


def test_a_task_of_choices_has_the_command_s_numbers(harness, tmp_path, command):
    rows = [{"context": c, "options": o, "answer": a} for c, o, a in LINES]
    result, samples = evaluate(harness, tmp_path, "lines", "multiple_choice", rows, CHOICE)
    assert result["acc,none"] == 1.0
    expected = command("score", "--requests", "/dev/stdin",
                       lines=[{"id": f"{i},{j}", "context": c, "target": option}
                              for i, (c, options, _) in enumerate(LINES) for j, option in enumerate(options)])
    expected = {answer["id"]: answer for answer in expected}
    for sample in samples:
        for j, (logprob, is_greedy) in enumerate(sample["filtered_resps"]):
            answer = expected[f"{sample['doc_id']},{j}"]
            assert float(logprob) == answer["logprob"]
            assert (str(is_greedy) == "True") == all(rank == 1 for rank in answer["ranks"])


def test_rolling_is_the_perplexity_of_the_text(harness, tmp_path):
    texts = ["白日依山尽，黄河入海流。", "白日依山尽，" * 60]
    _, samples = evaluate(
        harness, tmp_path, "texts", "loglikelihood_rolling", [{"text": text} for text in texts], ROLLING)
    found = [float(sample["filtered_resps"][0]) for sample in samples]
    assert found == [harness.model.perplexity(text, context=harness.window).logprob for text in texts]


def test_texts_are_generated_until_a_stop(harness, tmp_path):
    rows = [{"title": POEM, "first": "白日依山尽"}, {"title": "《枫桥夜泊》张继\n", "first": "月落乌啼霜满天"}]
    result, _ = evaluate(harness, tmp_path, "poems", "generate_until", rows, UNTIL)
    assert result["exact_match,none"] == 1.0


def test_a_context_that_is_too_long_loses_its_beginning(harness, model):
    request = type("Request", (), {"args": ("春" * 500, "风")})
    [(logprob, _)] = harness.loglikelihood([request], disable_tqdm=True)
    kept = [6] + model.tokenize("春" * 500)[-(harness.max_length - 2):]
    assert logprob == model.score(kept, "风").logprob


def test_the_harness_knows_the_model_by_name():
    from lm_eval.api.registry import get_model

    from leafcutter.lm_eval import LeafcutterLM

    assert get_model("leafcutter") is LeafcutterLM
