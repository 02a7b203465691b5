"""One input or several in a JSON body: the declared shape decides, and OpenAPI says how."""

import asyncio
import json
from pathlib import Path

import httpx
import jsonschema
import numpy as np
import pytest

from maas.errors import InputError
from maas.runtime.bundle import Bundle
from maas.serving.repository import Repository
from maas.serving.transports.http import HttpApp

RATE = 1000


@pytest.fixture(scope="module")
def folders(bundles, tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("rows")
    return {
        "grey": bundles.image_bundle(root / "grey"),
        "colour": bundles.image_bundle(root / "colour", height=6, width=7, channels=3),
        "audio": bundles.audio_bundle(root / "audio", rate=RATE),
        "flag": bundles.flag_bundle(root / "flag"),
    }


def asked(folder: Path, path: str, **content) -> httpx.Response:
    repository = Repository()
    repository.open(folder)

    async def ask() -> httpx.Response:
        app = HttpApp(repository, max_body_bytes=2**24)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.request("POST" if content else "GET", path, **content)
        await app.close()
        return response

    return asyncio.run(ask())


def softmax_of_mean(values: np.ndarray, scale: float) -> float:
    """Returns the probability of the second label, σ(2 · scale · mean), in float64."""
    return float(1 / (1 + np.exp(-2 * scale * np.float64(values.mean()))))


def test_five_grey_pictures_get_five_answers_when_they_are_lists(folders):
    pictures = np.random.default_rng(0).integers(0, 60, (5, 4, 4))
    found = asked(folders["grey"], "/v1/image-classification", json={"image": pictures.tolist()}).json()
    scores = [one["score"] for one in found]
    assert scores == pytest.approx([softmax_of_mean(one, 1 / 64) for one in pictures], abs=1e-6)
    single = asked(folders["grey"], "/v1/image-classification", json={"image": pictures[0].tolist()}).json()
    assert single == found[0]
    wrapped = asked(folders["grey"], "/v1/image-classification", json={"image": pictures[:, :, :, None].tolist()})
    assert wrapped.json() == found


def test_colour_pictures_get_as_many_answers_when_they_are_lists(folders):
    pictures = np.random.default_rng(1).integers(0, 60, (2, 6, 7, 3))
    found = asked(folders["colour"], "/v1/image-classification", json={"image": pictures.tolist()}).json()
    assert len(found) == 2
    assert asked(folders["colour"], "/v1/image-classification", json={"image": pictures[1].tolist()}).json() == found[1]
    grey = pictures[:, :, :, 0].tolist()
    assert len(asked(folders["colour"], "/v1/image-classification", json={"image": grey}).json()) == 2


def test_stereo_second_gets_one_answer_when_it_is_lists(folders):
    frames = np.random.default_rng(2).uniform(0, 0.2, (RATE, 2))
    named = {"samples": frames.tolist(), "rate": RATE}
    expected = softmax_of_mean(frames, 8.0)
    for value in (frames.tolist(), named):
        found = asked(folders["audio"], "/v1/audio-classification", json={"audio": value}).json()
        assert found["label"] == "bright"
        assert found["score"] == pytest.approx(expected, abs=1e-6)
    many = asked(folders["audio"], "/v1/audio-classification", json={"audio": [named, named, named]}).json()
    assert [one["score"] for one in many] == pytest.approx([expected] * 3, abs=1e-6)
    rows = asked(folders["audio"], "/predict", json={"input_data": [frames.tolist(), named]}).json()["predictions"]
    assert [row[1] for row in rows] == pytest.approx([expected] * 2, abs=1e-6)


def test_whole_numbers_are_samples_of_16_bits_when_a_body_is_small(folders):
    samples = np.random.default_rng(3).integers(0, 6000, 900)
    for rows in ([samples.tolist()], [samples.tolist()] * 4):
        found = asked(folders["audio"], "/predict", json={"input_data": rows}).json()["predictions"]
        expected = softmax_of_mean(np.pad(samples / 32768, (0, RATE - 900)), 8.0)
        assert [row[1] for row in found] == pytest.approx([expected] * len(rows), abs=1e-6)


def test_open_lists_are_refused_when_they_may_be_both(folders):
    response = asked(folders["grey"], "/v1/image-classification", json={"image": np.zeros((9, 8, 3), int).tolist()})
    assert response.status_code == 400
    assert response.json()["error"].startswith("Lists of 9 × 8 × 3 may be 9 grey pictures or one of 3 channels; ")


@pytest.mark.parametrize(
    ("name", "key", "value", "rule"),
    [
        (
            "grey",
            "image",
            np.zeros((5, 4, 4), int).tolist(),
            "the model's own H × W, 4 × 4; where both have it they are",
        ),
        ("colour", "image", np.zeros((6, 7, 3), int).tolist(), "H × W, 6 × 7; where both have it they are one input"),
        ("audio", "audio", [[0.1, 0.2]] * 9, "Numbers [N] or [N, channels] are one input; a list of files, of objects"),
    ],
)
def test_openapi_tells_the_rule_and_its_schema_takes_the_value(folders, name, key, value, rule):
    document = asked(folders[name], "/openapi.json").json()
    body = document["paths"][f"/v1/{key}-classification"]["post"]["requestBody"]["content"]["application/json"]
    assert rule in body["schema"]["properties"][key]["description"]
    jsonschema.validate({key: value}, body["schema"])


def test_truth_value_is_answered_as_the_files_spelling_when_a_column_holds_one(folders):
    rows = [{"flag": value} for value in (True, "TRUE", False, "FALSE", "True", None)]
    found = asked(folders["flag"], "/v1/tabular-regression", json={"row": rows}).json()
    assert [one["value"] for one in found] == pytest.approx([103.9, 103.9, 69.3, 69.3, 0, 0], rel=1e-6)
    document = asked(folders["flag"], "/openapi.json").json()
    assert "\"false is read as 'FALSE', true as 'TRUE'\"" in json.dumps(document)


def test_tensor_is_refused_when_its_nesting_is_not_its_shape(folders):
    pictures = np.arange(48).reshape(3, 4, 4, 1)

    def infer(data: np.ndarray) -> httpx.Response:
        tensor = {"name": "image", "datatype": "UINT8", "shape": [3, 4, 4, 1], "data": data.tolist()}
        return asked(folders["grey"], "/v2/models/shades/infer", json={"inputs": [tensor]})

    assert infer(pictures).json() == infer(pictures.ravel()).json()
    response = infer(pictures.reshape(4, 3, 4, 1))
    assert response.status_code == 400
    assert response.json()["error"].startswith(
        "Input 'image' has data nested as [4, 3, 4, 1]; its shape is [3, 4, 4, 1]. Send data flat, or nested as "
    )


@pytest.mark.parametrize("as_list", [False, True])
def test_single_picture_is_refused_when_python_gives_it_as_a_list_of_rows(folders, as_list):
    bundle = Bundle.open(folders["colour"])
    picture = np.random.default_rng(3).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    one = picture.tolist() if as_list else picture
    with pytest.raises(InputError, match=r"it was given one of shape \[6, 7, 3\]\. Write \[input\]\.$"):
        bundle.predict(one)
    assert len(bundle.predict([one])) == 1
    assert len(bundle.predict(np.stack([picture, picture]))) == 2
    greys = np.zeros((5, 4, 4), np.uint8)
    assert len(Bundle.open(folders["grey"]).predict(greys)) == len(Bundle.open(folders["grey"]).predict(greys.tolist()))


def test_text_and_row_are_answered_alike_as_objects_and_as_a_tensor_a_column(bundles, tmp_path):
    bundle = Bundle.open(bundles.combined_bundle(tmp_path / "combined"))
    rows = [{"review": "a good film", "price": 2.5, "size": "M"}, {"review": "bad", "price": 1.0, "size": "S"}]
    expected = bundle.predict(rows)
    many = asked(bundle.folder, "/v1/combined-classification", json={"row": rows}).json()
    assert [one["score"] for one in many] == pytest.approx([one["score"] for one in expected])
    assert asked(bundle.folder, "/v1/combined-classification", json={"row": rows[0]}).json()["label"] == "long"
    columns = {"review": "BYTES", "price": "FP64", "size": "BYTES"}
    tensors = [
        {"name": name, "datatype": kind, "shape": [2], "data": [row[name] for row in rows]}
        for name, kind in columns.items()
    ]
    found = asked(bundle.folder, "/v2/models/reviews/infer", json={"inputs": tensors}).json()["outputs"]
    scores = next(one["data"] for one in found if one["name"] == "score")
    assert scores == pytest.approx([one["score"] for one in expected])
    assert scores[0] != pytest.approx(scores[1])
