"""The document at /openapi.json against the server that it describes, by Schemathesis."""
import json

import pytest

from conftest import Server

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")

# Few: most examples ask a model for something, and a busy machine is to end within half a minute.
EXAMPLES = 8
# The largest number of 32 bits, which the document allows for ids, soft prompts and segments of any model; and what is
# there in this one.
ANY, OWN = "2147483647", "31"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    # A short context and few texts keep each answer short; a chat's usual 100 tokens fit.
    options = ["--memory", "128MiB", "--threads", "2", "--max-context", "140", "--max-batch", "2"]
    with Server(*options, "--files", str(tmp_path_factory.mktemp("files"))) as running:
        yield running
        assert running.stop() == 0


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_answers_are_what_the_document_says(server, mode):
    text = server.get("/openapi.json").decode()
    assert text.count(ANY) > 10
    if mode is schemathesis.GenerationMode.POSITIVE:
        text = text.replace(ANY, OWN)
    # What the document allows may still be too long, or contradict itself.
    config = schemathesis.Config.from_dict({"checks": {"positive_data_acceptance": {"enabled": False}}})
    routes = json.loads(text)["paths"]
    document = schemathesis.openapi.from_dict(json.loads(text), config=config)
    document.config.update(base_url=server.url)
    statuses = set()
    # What never ends by itself is read elsewhere.
    for found in document.exclude(path="/events").get_all_operations():
        operation = found.ok()

        @hypothesis.settings(
            max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck))
        @hypothesis.given(operation.as_strategy(generation_mode=mode))
        def ask(case):
            answer = case.call_and_validate(timeout=120)
            statuses.add((operation.path, answer.status_code))

        try:
            ask()
        except hypothesis.errors.Unsatisfiable:
            # Where nothing is sent, nothing can be wrong.
            assert mode is schemathesis.GenerationMode.NEGATIVE
            assert "requestBody" not in routes[operation.path][operation.method]
    if mode is schemathesis.GenerationMode.POSITIVE:
        assert {path for path, status in statuses if status == 200} >= {
            "/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/v1/fill", "/v1/score", "/tokenize",
            "/detokenize"}
