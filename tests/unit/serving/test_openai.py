"""OpenAI's embeddings and models, by OpenAI's own client on a real server with its defaults."""

import asyncio
import base64
import json

import numpy as np
import openai
import pytest

from maas.runtime.bundle import Bundle

TEXTS = [f"第{number}条评论: a very good film, number {number}" for number in range(200)]


@pytest.fixture(scope="module")
def folder(bundles, tmp_path_factory):
    return bundles.embedding_bundle(tmp_path_factory.mktemp("bundles") / "vectors")


@pytest.fixture(scope="module")
def digits(bundles, tmp_path_factory):
    return bundles.array_bundle(tmp_path_factory.mktemp("bundles") / "digits")


@pytest.fixture(scope="module")
def repository(asking, folder, digits):
    return asking.repository_of(digits, folder)


@pytest.fixture(scope="module")
def server(start, folder, digits):
    with start(f"model={folder}", f"model={digits}") as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def vectors(folder, texts: list[str]) -> np.ndarray:
    return np.array([one["embedding"] for one in Bundle.open(folder).predict(texts)])


def tokens(folder, texts: list[str]) -> int:
    """The length of each text in tokens, by the tokenizer's own file."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "assets/tokenizer.json"))
    return sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)


@pytest.mark.parametrize("form", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}, {"dimensions": 6}])
def test_own_client_gets_the_bundles_vectors(client, folder, form):
    found = client.embeddings.create(model="vectors", input=TEXTS, **form)
    assert found.model == "vectors"
    assert [one.index for one in found.data] == list(range(200))
    given = [one.embedding for one in found.data]
    if form.get("encoding_format") == "base64":
        given = [np.frombuffer(base64.b64decode(one), "<f4") for one in given]
    np.testing.assert_allclose(np.array(given), vectors(folder, TEXTS), rtol=0, atol=1e-6)


def test_own_asynchronous_client_gets_the_same(server, folder):
    async def found():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            return await client.embeddings.create(model="vectors", input="bad film")

    (one,) = asyncio.run(found()).data
    np.testing.assert_allclose(one.embedding, vectors(folder, ["bad film"])[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("texts", [["bad"], TEXTS[:20], TEXTS])
def test_usage_counts_the_tokens(client, folder, texts):
    usage = client.embeddings.create(model="vectors", input=texts).usage
    assert usage.prompt_tokens == usage.total_tokens == tokens(folder, texts)


def test_own_client_lists_models(client):
    assert [one.id for one in client.models.list()] == ["vectors", "digits"]
    one = client.models.retrieve("vectors")
    assert (one.id, one.object, one.owned_by) == ("vectors", "model", "maas")
    assert one.created > 1_000_000_000


def test_own_client_raises_its_own_errors(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.embeddings.create(model="none", input="a")
    assert (raised.value.code, raised.value.param, raised.value.type) == (
        "model_not_found",
        "model",
        "invalid_request_error",
    )
    with pytest.raises(openai.BadRequestError, match="Model 'digits' is for tabular-classification, and gives no"):
        client.embeddings.create(model="digits", input="a")
    with pytest.raises(openai.BadRequestError, match="The input holds numbers of tokens"):
        client.embeddings.create(model="vectors", input=[[1, 2, 3]])
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("none")
    assert raised.value.body == "No model 'none' is served here; there is digits, vectors."


BAD = {
    "tokens": ({"input": [1, 2]}, 400, "send texts"),
    "empty text": ({"input": ""}, 400, "Row 0 is an empty text"),
    "no texts": ({"input": []}, 400, "No rows were given"),
    "mixed": ({"input": ["a", 1]}, 400, "Row 1 is of type int"),
    "null": ({"input": None}, 400, "$.input"),
    "missing": ({}, 400, "missing required field `input`"),
    "unknown key": ({"input": "a", "inputs": "b"}, 400, "`inputs`"),
    "unknown form": ({"input": "a", "encoding_format": "hex"}, 400, "encoding_format"),
    "dimensions": (
        {"input": "a", "dimensions": 3}, 400,
        "The request wants 3 dimensions; the vectors of model 'vectors' have 6. Leave dimensions out.",
    ),
    "unknown model": ({"input": "a", "model": "none"}, 404, "No model 'none'"),
    "too many": ({"input": ["a"] * 1025}, 413, "1025 rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_request_is_refused_in_the_protocols_form(asking, repository, case):
    body, status, cause = BAD[case]
    response = asking.ask(repository, "POST", "/v1/embeddings", json=body)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert list(response.json()["error"]) == ["message", "type", "param", "code"]
    assert cause in response.json()["error"]["message"]


def test_model_of_embeddings_answers_where_none_is_named(asking, repository, folder):
    found = asking.ask(repository, "POST", "/v1/embeddings", json={"input": "bad film", "user": "me"}).json()
    assert found["model"] == "vectors"
    np.testing.assert_allclose(found["data"][0]["embedding"], vectors(folder, ["bad film"])[0], rtol=0, atol=1e-6)


def test_server_without_embeddings_says_so(asking, digits):
    repository = asking.repository_of(digits)
    response = asking.ask(repository, "POST", "/v1/embeddings", json={"input": "a"})
    assert response.status_code == 400
    assert response.json()["error"]["message"].endswith("name one that does: none is served here.")
    document = json.loads(asking.ask(repository, "GET", "/openapi.json").content)
    assert "/v1/embeddings" not in document["paths"]
    assert "/v1/models/{name}:regress" not in document["paths"]
    assert "/v1/models/{name}:classify" in document["paths"]
