"""Interactions through the whole line: a table of one's own, trained, made small, proven, served and explained."""

import asyncio

import httpx
import numpy as np
import pytest

import maas
from maas.errors import InputError

RECIPE = """\
# My items.
defaults:
  - override /data: interactions
  - override /processor: items
  - override /model: two_tower
  - override /objective: item_softmax
  - override /baseline: item_neighbours
  - override /compress: tables
name: my_items
task: recommendation
metric: ndcg_at_10
batch_size: 32
data: {min_item_users: 2}
processor: {keep_histories: true}
model: {width: 16}
optimizer: {lr: 2e-2}
trainer: {max_epochs: 20}
compress: {budget: {min_shrink: 1.2}}
registry: null
"""
KNOWN = ["g3_00", "g3_01"]


@pytest.fixture(scope="module")
def bundle(interactions, few_turns, tmp_path_factory) -> maas.Bundle:
    folder = tmp_path_factory.mktemp("recommendation")
    path = interactions.written(folder, interactions.tastes())
    (folder / "my_items.yaml").write_text(RECIPE)
    places = (f"data.source.path={path}", f"runs_dir={folder / 'runs'}")
    maas.lifecycle.run(maas.compose(str(folder / "my_items.yaml"), *places))
    return maas.load(folder / "runs/my_items/latest/bundle")


def ranked(prediction: dict) -> list[str]:
    return [one["item"] for one in prediction["items"]]


def test_tastes_are_learnt_and_proven_when_a_table_names_users_items_and_times(bundle):
    evidence = bundle.evidence
    assert bundle.manifest.task == "recommend"
    shipped, popular = evidence.metrics["shipped"]["ndcg_at_10"], evidence.metrics["popularity"]["ndcg_at_10"]
    assert shipped.low > popular.high
    assert "baseline" in evidence.metrics
    assert {one.right for one in evidence.parity} >= {"onnxruntime", "onnx reference"}
    assert evidence.data.rows["train"] > evidence.data.rows["test"] > 0


def test_items_of_the_same_taste_come_first_when_a_list_of_items_is_given(bundle):
    (prediction,) = bundle.predict([KNOWN])
    assert len(prediction["items"]) == 20
    assert all(name.startswith("g3_") for name in ranked(prediction)[:8])
    assert not {*KNOWN} & {*ranked(prediction)}
    assert prediction["by"] == "items"
    scores = [one["score"] for one in prediction["items"]]
    assert scores == sorted(scores, reverse=True)


def test_row_says_how_many_it_wants_and_whether_its_own_may_come_when_it_is_an_object(bundle):
    few, own = bundle.predict([{"items": KNOWN, "top_k": 3}, {"items": KNOWN, "top_k": 20, "exclude_seen": False}])
    assert ranked(few) == ranked(bundle.predict([KNOWN])[0])[:3]
    assert set(KNOWN) < set(ranked(own))


def test_kept_history_ranks_when_a_user_is_named_and_popularity_when_nobody_knows_them(bundle):
    user, other, unknown = bundle.predict([{"user": "u000"}, {"user": "u001"}, {"user": "nobody"}])
    assert (user["by"], other["by"], unknown["by"]) == ("items", "items", "popularity")
    assert ranked(user) != ranked(other)
    assert ranked(unknown) == ranked(bundle.predict([["never seen"]])[0])


def test_prediction_is_the_same_when_a_row_comes_alone_or_among_others(bundle):
    rows = [KNOWN, ["g1_05"], {"user": "u002"}, []]
    for row, together in zip(rows, bundle.predict(rows), strict=True):
        (alone,) = bundle.predict([row])
        assert ranked(alone) == ranked(together)
        np.testing.assert_allclose(
            [one["score"] for one in alone["items"]], [one["score"] for one in together["items"]], atol=1e-5
        )


def test_server_ranks_as_the_bundle_does_when_asked_in_each_form(bundle):
    from maas.serving.repository import Repository
    from maas.serving.transports.http import HttpApp

    repository = Repository()
    repository.open(bundle.folder)
    (expected,) = bundle.predict([{"items": KNOWN, "top_k": 3}])

    async def asked(path: str, body: dict) -> object:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            response = await client.post(path, json=body)
            return response.json()

    async def all_forms() -> None:
        nonlocal app
        app = HttpApp(repository)
        for path, body in (
            ("/v1/recommend", {"items": KNOWN, "top_k": 3}),
            ("/v1/recommend?top_k=3", {"items": KNOWN}),
            ("/v1/recommend", {"items": {"items": KNOWN, "top_k": 3}}),
        ):
            assert await asked(path, body) == expected
        assert await asked("/v1/recommend", {"items": [KNOWN, KNOWN], "top_k": 3}) == [expected, expected]
        assert (
            await asked("/v1/recommend", {"user": "u000", "top_k": 2})
            == bundle.predict([{"user": "u000", "top_k": 2}])[0]
        )
        tensor = {"name": "items", "shape": [2, 2], "datatype": "BYTES", "data": [*KNOWN, KNOWN[0], ""]}
        outputs = {
            one["name"]: one for one in (await asked("/v2/models/my_items/infer", {"inputs": [tensor]}))["outputs"]
        }
        assert outputs["items"]["shape"] == [2, 72]
        assert outputs["items"]["data"][:3] == ranked(expected)
        assert outputs["by"]["data"] == ["items", "items"]
        assert "neither items nor user" in str(await asked("/v1/recommend", {"model": "my_items"}))
        await app.close()

    app = None
    asyncio.run(all_forms())


def test_explanation_is_of_the_items_that_moved_the_first_when_a_row_is_explained(bundle, tmp_path):
    explanation = maas.explain(bundle, ["g1_05", *KNOWN], label="g3_05")
    by_name = dict(zip([part.name for part in explanation.parts], explanation.attributions, strict=True))
    assert set(by_name) == {"g1_05", *KNOWN}
    assert max(by_name, key=by_name.get) in KNOWN
    explanation.save(tmp_path / "explained.html")
    assert maas.explain(bundle, KNOWN).label == ranked(bundle.predict([KNOWN])[0])[0]
    with pytest.raises(InputError, match="knows none of the items"):
        maas.explain(bundle, ["never seen"])
    with pytest.raises(InputError, match=r"label is 'g3_00', which is not among the first"):
        maas.explain(bundle, KNOWN, label="g3_00")
