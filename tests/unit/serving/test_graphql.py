"""GraphQL: what models' fields give, how faults are written, and what a query may want."""

import asyncio
import json

import httpx
import pytest
from graphql import build_schema, get_introspection_query

from maas.runtime.bundle import Bundle
from maas.serving.entries import LocatedEntry
from maas.serving.protocols.graphql import operations as graphql
from maas.serving.protocols.graphql.schema import schema_text
from maas.serving.protocols.operations import Request
from maas.serving.repository import EngineSettings, Repository
from maas.serving.service import Service
from maas.serving.transports.http import HttpApp

NAMES = ("array", "text", "table", "image", "embedding", "combined", "value")
ROW = [1] * 64


@pytest.fixture(scope="module")
def folders(tmp_path_factory, bundles):
    folder = tmp_path_factory.mktemp("bundles")
    return {name: getattr(bundles, f"{name}_bundle")(folder / name) for name in NAMES}


@pytest.fixture(scope="module")
def repository(folders, asking) -> Repository:
    return asking.repository_of(*folders.values())


@pytest.fixture
def ask(repository, asking):
    def ask(query: str, headers: dict | None = None, **more) -> httpx.Response:
        return asking.ask(repository, "POST", "/graphql", json={"query": query, **more}, headers=headers)

    return ask


@pytest.mark.parametrize("name", NAMES)
def test_field_of_a_model_gives_what_the_bundle_predicts(ask, repository, folders, name):
    bundle = Bundle.open(folders[name])
    rows, model = bundle.golden.inputs, bundle.manifest.name
    (declared,) = [
        line for line in schema_text(repository.snapshot).text.splitlines() if line.startswith(f"  {model}(")
    ]
    kind = declared.partition("inputs: ")[2].partition(", version")[0]
    fields = " ".join(bundle.golden.predictions[0])
    query = f"query ($rows: {kind}) {{ {model}(inputs: $rows) {{ model version predictions {{ {fields} }} scores }} }}"
    response = ask(query, variables={"rows": rows})
    found = response.json()["data"][model]
    assert (found["model"], found["version"]) == (model, "1")
    expected = bundle.predict(rows)
    assert [list(one) for one in found["predictions"]] == [list(one) for one in expected]
    for one, wanted in zip(found["predictions"], expected, strict=True):
        assert one == {key: pytest.approx(value) if key != "label" else value for key, value in wanted.items()}
    assert found["scores"] == pytest.approx(bundle.predictor.scores(rows))
    assert response.headers["maas-model"] == model


def test_one_query_predicts_with_several_models(ask, folders):
    query = '{ a: predict(inputs: ["bad"], model: "sentiment") { predictions } digits(inputs: [$row]) { scores } }'
    response = ask(query.replace("$row", json.dumps(ROW)))
    expected = Bundle.open(folders["text"]).predict(["bad"])
    data = response.json()["data"]
    assert data["a"]["predictions"][0]["label"] == expected[0]["label"]
    assert data["digits"]["scores"] == pytest.approx(Bundle.open(folders["array"]).predictor.scores([ROW]))
    assert "maas-model" not in response.headers


def test_best_labels_come_first(ask, folders):
    scores = Bundle.open(folders["text"]).predictor.scores(["bad"])[0].tolist()
    named = dict(zip(("negative", "positive"), scores, strict=True))
    data = ask('{ sentiment(inputs: ["bad"]) { all: labelScores best: labelScores(topK: 1) } }').json()["data"]
    assert data["sentiment"]["all"] == [pytest.approx(named)]
    assert list(data["sentiment"]["best"][0]) == [max(named, key=named.get)]


def test_models_are_described(ask, folders):
    query = '{ models { name } model(name: "sums") { version task labels classes inputs { name shape } rowSchema } }'
    data = ask(query).json()["data"]
    assert [one["name"] for one in data["models"]] == [Bundle.open(one).manifest.name for one in folders.values()]
    schema = Bundle.open(folders["table"]).predictor.processor.row_schema
    assert data["model"].pop("inputs")[0] == {"name": "price", "shape": [-1]}
    assert data["model"] == {
        "version": "1", "task": "tabular-regression", "labels": [], "classes": [], "rowSchema": schema,
    }  # fmt: skip


def test_fault_of_one_field_leaves_the_others(ask):
    response = ask('{ digits(inputs: [[1]]) { scores } sentiment(inputs: ["bad"]) { predictions { label } } }')
    content = response.json()
    assert response.status_code == 200
    assert content["data"]["digits"] is None
    assert content["data"]["sentiment"]["predictions"][0]["label"] == "negative"
    assert content["errors"] == [
        {
            "message": "Row 0 has shape [1]; the model takes [64].",
            "locations": [{"line": 1, "column": 3}],
            "path": ["digits"],
            "extensions": {"code": "invalid_input"},
        }
    ]


REFUSED_FIELDS = {
    "no rows": ("{ predict(inputs: []) { scores } }", "invalid_input", "No rows were given"),
    "other model": ('{ model(name: "x") { name } }', "unknown_model", "No model 'x' is served here"),
    "other version": (
        '{ sentiment(inputs: ["a"], version: "9") { scores } }',
        "unknown_model",
        "Model 'sentiment' is served in version 1, not 9.",
    ),
    "labels of values": (
        '{ predict(model: "price", inputs: [[1, 2, 3, 4]]) { labelScores } }',
        "invalid_input",
        "Model 'price' has no labels; leave out labelScores.",
    ),
    "no label": ('{ sentiment(inputs: ["a"]) { labelScores(topK: 0) } }', "invalid_input", "topK is 0; it is at least"),
}


@pytest.mark.parametrize("case", REFUSED_FIELDS)
def test_field_is_refused_with_a_code_and_the_cause(ask, case):
    query, code, cause = REFUSED_FIELDS[case]
    response = ask(query)
    (error,) = response.json()["errors"]
    assert response.status_code == 200
    assert error["extensions"] == {"code": code}
    assert cause in error["message"]


MANY = "query ($rows: [JSON!]!) { predict(inputs: $rows) { scores } }"
REFUSED = {
    "no query": ("{", {}, "invalid_graphql", "The query is no GraphQL: Syntax Error: Expected Name, found <EOF>"),
    "other field": ("{ x }", {}, "invalid_graphql", "Cannot query field 'x' on type 'Query' (line 1, column 3)."),
    "other column": (
        "query ($rows: [SumsRow!]!) { sums(inputs: $rows) { scores } }",
        {"variables": {"rows": [{"pric": 1}]}},
        "invalid_graphql",
        "'pric'",
    ),
    "no name": ("query a { models { name } } query b { models { name } }", {}, "invalid_graphql", "several operations"),
    "other name": ("{ models { name } }", {"operationName": "b"}, "invalid_graphql", "has no operation 'b'"),
    "mutation": ("mutation { x }", {}, "invalid_graphql", "mutation"),
    "schema beside models": ("{ __schema { types { name } } model { name } }", {}, "invalid_graphql", "the schema and"),
    "long": ("{ models { name } }" + " " * 20_000, {}, "query_too_costly", "The query has 20,019 characters"),
    "many fields": ("{" + " models { name }" * 80 + "}", {}, "query_too_costly", "more than 150 fields or 20 levels"),
    "many levels": ("{" + "... {" * 25 + "models { name }" + "}" * 25 + "}", {}, "query_too_costly", "or 20 levels"),
    "deep text": ("{ a" * 900, {}, "invalid_graphql", "nested too deeply"),
    "many tokens": ("{ models(" + "a: 1 " * 900 + ") }", {}, "invalid_graphql", "more than 2000 tokens"),
    "schema, four times": (
        "{ " + " ".join(f"a{at}: __schema {{ types {{ name }} }}" for at in range(4)) + " }",
        {},
        "query_too_costly",
        "would give 4,000 fields and rows; it may give 3,000",
    ),
    "fragments of fragments": (
        "{ ...a0 } "
        + " ".join(f"fragment a{at} on Query {{ ...a{at + 1} ...a{at + 1} }}" for at in range(12))
        + " fragment a12 on Query { models { name } }",
        {},
        "query_too_costly",
        "would give",
    ),
    "many rows": (MANY, {"variables": {"rows": [[1]] * 4000}}, "query_too_costly", "would give 4,002 fields and rows"),
    "predictions of many rows": (
        "query ($rows: [String!]!) { sentiment(inputs: $rows) { predictions { label score } } }",
        {"variables": {"rows": ["a"] * 1001}},
        "query_too_costly",
        "would give 3,005 fields and rows",
    ),
    "unknown key": ("{ models { name } }", {"id": 1}, "invalid_json", "Object contains unknown field `id`"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_query_is_refused_with_a_code_and_the_cause(ask, case):
    query, more, code, cause = REFUSED[case]
    response = ask(query, **more)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/graphql-response+json"
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == code
    assert cause in error["message"]
    assert "\n" not in error["message"]


def test_rows_of_all_fields_are_no_more_than_one_call_may_have(ask):
    rows = [ROW] * 600
    fields = " ".join(f"{name}: predict(inputs: $rows) {{ model }}" for name in ("a", "b"))
    content = ask(f"query ($rows: [JSON!]!) {{ {fields} }}", variables={"rows": rows}).json()
    (error,) = content["errors"]
    assert error["extensions"]["code"] == "too_many_rows"
    assert "The request has 1200 rows; this server takes 1024 at a time." in error["message"]


def test_get_takes_the_query_beside_the_path(repository, asking):
    query = "query one($name: String) { model(name: $name) { name } } query two { models { name } }"
    parameters = {"query": query, "variables": '{"name": "sums"}', "operationName": "one"}
    response = asking.ask(repository, "GET", "/graphql", params=parameters)
    assert response.json() == {"data": {"model": {"name": "sums"}}}
    for wrong, cause in (({}, "query is missing"), ({**parameters, "variables": "[1]"}, "is not a JSON object")):
        response = asking.ask(repository, "GET", "/graphql", params=wrong)
        assert response.status_code == 400
        assert cause in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("application/graphql-response+json, application/json;q=0.9", "application/graphql-response+json"),
        ("*/*", "application/graphql-response+json"),
    ],
)
def test_reply_is_of_the_type_that_is_accepted(ask, accept, kind):
    assert ask("{ models { name } }", headers={"accept": accept}).headers["content-type"] == kind


def test_body_that_is_no_json_is_refused_by_its_type_and_size(repository, asking):
    kind = {"content-type": "application/graphql"}
    response = asking.ask(repository, "POST", "/graphql", content=b"{ models }", headers=kind)
    assert response.status_code == 415
    assert response.json()["errors"][0]["extensions"]["code"] == "unsupported_media_type"
    response = asking.ask(repository, "POST", "/graphql", content=b'{"query": "' + b" " * 2**20 + b'"}')
    assert response.status_code == 413
    assert "a query takes 1,048,576" in response.json()["errors"][0]["message"]


def test_schema_is_described_whole(ask):
    content = ask(get_introspection_query()).json()
    names = {one["name"] for one in content["data"]["__schema"]["types"]}
    assert {"Query", "Model", "SumsRow", "SumsPredictions", "SumsPrediction", "JSON"} <= names
    assert "errors" not in content


def test_schema_holds_names_of_graphql_alone(folders, asking):
    names = ("models", "a-b", "a.b", "模型", "x", "X", "9")
    repository = asking.repository_of(*[folders["text"]] * len(names), names=names)
    found = schema_text(repository.snapshot)
    assert found.models == {"a_b": "a-b", "x": "x"}
    build_schema(found.text)


def test_field_follows_the_model_when_another_version_takes_its_place(bundles, tmp_path, folders):
    async def scenario():
        repository = Repository()
        repository.open(folders["value"], name="model_a")
        app = HttpApp(repository)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:

            async def asked(query: str) -> dict:
                return (await client.post("/graphql", json={"query": query})).json()

            before = await asked("{ model_a(inputs: [[1, 2, 3, 4]]) { predictions { value } } }")
            entry = LocatedEntry.of_folder(folders["text"], name="model_a", version="2")
            await repository.swap(repository.slots[0], entry)
            after = await asked('{ model_a(inputs: ["bad"]) { version predictions { label } } }')
        await app.close()
        return before, after

    before, after = asyncio.run(scenario())
    assert "value" in before["data"]["model_a"]["predictions"][0]
    assert after["data"]["model_a"] == {"version": "2", "predictions": [{"label": "negative"}]}


def test_query_is_told_when_to_come_back_and_leaves_the_queue_with_its_client(folders):
    async def scenario():
        repository = Repository(EngineSettings(max_queue=8))
        deployment = repository.open(folders["text"])
        service = Service(repository)
        deployment.engine.pause()
        body = json.dumps({"query": MANY, "variables": {"rows": ["a"] * 4}}).encode()
        refused = asyncio.get_running_loop().create_future()
        operation, _ = service.find("POST", "/graphql")
        withdrawals = [service.begin(operation, Request(body), refused.set_result) for _ in range(3)]
        content = json.loads((await refused).body)
        queued = [deployment.engine.queued_rows]
        for withdraw in withdrawals:
            withdraw()
        for _ in range(100):
            await asyncio.sleep(0)
        queued.append(deployment.engine.queued_rows)
        deployment.engine.resume()
        await service.close()
        return queued, content

    queued, content = asyncio.run(scenario())
    assert queued == [8, 0]
    assert content["data"] == {"predict": None}
    assert content["errors"][0]["extensions"] == {"code": "overloaded", "retryAfterS": 1}


def test_line_names_the_extra_when_it_is_not_installed(repository, asking, monkeypatch):
    monkeypatch.setattr(graphql, "find_spec", lambda name: None)
    fresh = Repository()
    response = asking.ask(fresh, "POST", "/graphql", json={"query": "{ models { name } }"})
    assert response.status_code == 404
    (error,) = response.json()["errors"]
    assert error["message"] == "GraphQL needs a package that is not installed here: pip install 'maas[graphql]'."
    assert not any(one.is_documented for one in graphql.graphql_operations(repository.snapshot))


def test_fault_of_the_server_has_an_id_in_the_log(repository, asking, caplog, monkeypatch):
    monkeypatch.setattr(type(repository.snapshot.first.postprocessor), "scores", lambda *_: 1 / 0)
    response = asking.ask(repository, "POST", "/graphql", json={"query": '{ sentiment(inputs: ["a"]) { scores } }'})
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "internal_error"
    assert error["extensions"]["id"] in error["message"]
    assert error["extensions"]["id"] in caplog.text
    assert "ZeroDivisionError" in caplog.text
