"""The document at /openapi.json against the server that it describes, by Schemathesis."""
import pytest

from conftest import Server

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")

# Few: most examples ask a model for something, and a busy machine is to end within half a minute.
EXAMPLES = 12


@pytest.fixture(scope="module")
def document():
    # A context that is short keeps each answer short, whatever is asked for.
    with Server("--memory", "128MiB", "--threads", "2", "--max-context", "64") as running:
        yield schemathesis.openapi.from_url(running.url + "/openapi.json", config=schemathesis.Config.from_dict({
            # What is right by the document may be too long, or no id of this model.
            "checks": {"positive_data_acceptance": {"enabled": False}},
        }))
        assert running.stop() == 0


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_answers_are_what_the_document_says(document, mode):
    # What never ends by itself is read elsewhere.
    for found in document.exclude(path="/events").get_all_operations():
        operation = found.ok()

        @hypothesis.settings(
            max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck))
        @hypothesis.given(operation.as_strategy(generation_mode=mode))
        def ask(case):
            case.call_and_validate(timeout=60)

        try:
            ask()
        except hypothesis.errors.Unsatisfiable:
            # Where nothing is sent, nothing can be wrong.
            assert mode is schemathesis.GenerationMode.NEGATIVE and operation.method == "get"
