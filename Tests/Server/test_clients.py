"""What OpenAI's clients ask for, through their own packages."""
import asyncio
import json
import math
import subprocess

import openai
import pytest

from conftest import BIN, MODEL, POEM, command


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


def test_a_completion_is_what_the_command_gives(client):
    for seed in (1, 2):
        answer = client.completions.create(
            model="any", prompt=POEM, max_tokens=12, seed=seed, temperature=0.9, top_p=0.9)
        own = command("generate", POEM, "--max-tokens", "12", "--seed", str(seed))
        assert answer.choices[0].text == own["text"]
        assert answer.choices[0].finish_reason == own["finish_reason"]
        assert answer.usage.completion_tokens == own["completion_tokens"]


def test_a_stream_has_the_pieces_of_the_whole(client):
    whole = client.completions.create(model="any", prompt=POEM, max_tokens=20, seed=3)
    chunks = list(client.completions.create(
        model="any", prompt=POEM, max_tokens=20, seed=3, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [
        whole.choices[0].finish_reason]
    assert chunks[-1].usage == whole.usage
    assert len({c.id for c in chunks}) == 1


def test_samples_come_side_by_side(client):
    answer = client.completions.create(model="any", prompt=POEM, max_tokens=10, n=3, seed=4)
    own = command("generate", POEM, "--max-tokens", "10", "-n", "3", "--seed", "4")
    assert [c.text for c in answer.choices] == [c["text"] for c in own["choices"]]


def test_chat_joins_messages_and_streams(client):
    messages = [{"role": "system", "content": "《春晓》孟浩然"}, {"role": "user", "content": ""}]
    whole = client.chat.completions.create(model="any", messages=messages, max_tokens=12, temperature=0)
    own = command("generate", "《春晓》孟浩然\n", "--greedy", "--max-tokens", "12")
    assert whole.choices[0].message.content == own["text"]
    chunks = list(client.chat.completions.create(
        model="any", messages=messages, max_tokens=12, temperature=0, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == own["text"]


def test_logprobs_have_both_shapes(client):
    answer = client.completions.create(model="any", prompt=POEM, max_tokens=8, temperature=0, logprobs=3)
    logprobs = answer.choices[0].logprobs
    assert "".join(logprobs.tokens) == answer.choices[0].text
    assert all(len(top) >= 3 for top in logprobs.top_logprobs)
    assert [max(top.values()) for top in logprobs.top_logprobs] == pytest.approx(logprobs.token_logprobs)
    chat = client.chat.completions.create(
        model="any", messages=[{"role": "user", "content": POEM}], max_tokens=8, temperature=0, logprobs=True,
        top_logprobs=2)
    content = chat.choices[0].logprobs.content
    assert [t.token for t in content] == logprobs.tokens
    assert all(len(t.top_logprobs) == 2 for t in content)


def test_echo_scores_the_prompt_as_it_was_trained(server, client, folder):
    text = "白日依山尽，黄河入海流。"
    answer = client.completions.create(model="any", prompt=text, max_tokens=0, echo=True, logprobs=1)
    found = answer.choices[0].logprobs.token_logprobs
    assert answer.choices[0].text == text
    path = folder / "text.txt"
    path.write_text(text)
    own = json.loads(subprocess.run(
        [BIN, "perplexity", MODEL, str(path), "--prefix", "1", "--json", "--quiet"], capture_output=True,
        check=True).stdout)
    # The client is told nothing of the first token, which the command counts.
    assert found[0] is None
    ids = server.post("/tokenize", {"prompt": text, "add_special_tokens": False})[2]["tokens"]
    first = folder / "first.jsonl"
    first.write_text(json.dumps({"context_ids": [6], "target_ids": ids[:1]}))
    head = json.loads(subprocess.run(
        [BIN, "score", MODEL, "--requests", str(first), "--quiet"], capture_output=True, check=True,
        text=True).stdout.splitlines()[0])["logprob"]
    assert len(found) == len(ids)
    assert sum(found[1:]) + head == pytest.approx(-len(ids) * math.log(own["perplexity"]), rel=1e-5)


def test_embeddings_are_the_same_in_both_encodings(client):
    texts = ["床前明月光", "疑是地上霜"]
    # The client asks for base64 by itself.
    encoded = [item.embedding for item in client.embeddings.create(model="any", input=texts).data]
    floats = client.embeddings.create(model="any", input=texts, encoding_format="float")
    plain = [item.embedding for item in floats.data]
    assert len(encoded) == 2
    for a, b in zip(encoded, plain):
        assert a == pytest.approx(b, rel=1e-6)
    own = command("embed", texts[0])
    assert plain[0] == pytest.approx(own["embedding"], rel=1e-6)
    unit = client.embeddings.create(model="any", input=texts, extra_body={"normalize": True}).data[0].embedding
    assert unit == pytest.approx(command("embed", texts[0], "--normalize")["embedding"], rel=1e-6)


def test_errors_are_the_clients_own(client):
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.completions.create(model="any", prompt="春", temperature=-1)
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="any", prompt=[10**8])
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="any", messages=[])
    with pytest.raises(openai.NotFoundError):
        client.images.generate(prompt="an ant")


def test_async_clients_share_sweeps(server):
    async def ask():
        client = openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
        try:
            return await asyncio.gather(*[
                client.completions.create(model="any", prompt=POEM, max_tokens=10, seed=s) for s in range(12)])
        finally:
            await client.close()

    answers = asyncio.run(ask())
    for seed in (0, 11):
        own = command("generate", POEM, "--max-tokens", "10", "--seed", str(seed))
        assert answers[seed].choices[0].text == own["text"]


def test_litellm(server):
    litellm = pytest.importorskip("litellm")
    answer = litellm.text_completion(
        model="text-completion-openai/ant", prompt=POEM, max_tokens=8, temperature=0, api_base=server.url + "/v1",
        api_key="none")
    assert answer.choices[0].text == command("generate", POEM, "--greedy", "--max-tokens", "8")["text"]
    chat = litellm.completion(
        model="openai/ant", messages=[{"role": "user", "content": POEM}], max_tokens=8, temperature=0,
        api_base=server.url + "/v1", api_key="none")
    assert chat.choices[0].message.content == answer.choices[0].text


def test_langchain(server):
    langchain = pytest.importorskip("langchain_openai")
    model = langchain.OpenAI(
        base_url=server.url + "/v1", api_key="none", model="ant", max_tokens=8, temperature=0)
    assert model.invoke(POEM) == command("generate", POEM, "--greedy", "--max-tokens", "8")["text"]
    assert "".join(model.stream(POEM)) == model.invoke(POEM)
    vectors = langchain.OpenAIEmbeddings(
        base_url=server.url + "/v1", api_key="none", model="ant", check_embedding_ctx_length=False)
    own = command("embed", "床前明月光")
    assert vectors.embed_query("床前明月光") == pytest.approx(own["embedding"], rel=1e-6)
