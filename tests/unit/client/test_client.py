"""Both clients against real servers: the predictions of `bundle.predict`, to the bit."""

import asyncio
import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from PIL import Image

import maas
from maas.errors import ConfigError, InputError, ServerError


def picture_file(size: tuple[int, int] = (9, 7), mode: str = "RGB", kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(4).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


def turned_picture() -> Image.Image:
    """Returns a picture that its EXIF turns by a quarter."""
    image = Image.open(io.BytesIO(picture_file((9, 7))))
    image.getexif()[0x0112] = 6
    return image


def sound_file(rate: int = 1250) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(5).uniform(-0.1, 0.3, 2 * rate), rate, format="WAV")
    return file.getvalue()


def rows_of(kind: str, tmp_path) -> list:
    """Returns rows of every form that `bundle.predict` takes for a kind of bundle."""
    random = np.random.default_rng(6)
    ints, pixels = random.integers(0, 17, 64), random.integers(0, 256, (4, 4), dtype=np.uint8)
    samples = random.uniform(-0.1, 0.3, 1000).astype(np.float32)
    whole = (samples * 32767).astype(np.int16)
    image, sound = tmp_path / "image", tmp_path / "sound"
    image.write_bytes(picture_file(kind="JPEG"))
    sound.write_bytes(sound_file())
    return {
        "text": ["好", "bad", "a very good film", "it’s “fine”…", '𝄞 \\ " \n \x00'],
        "array": [ints.tolist(), ints, ints.astype(np.float32), tuple(ints.tolist()), random.uniform(0, 16, 64)],
        "value": list(random.uniform(0, 16, (5, 4)).astype(np.float32)),
        "flag": [{"flag": flag} for flag in ("TRUE", True, np.False_, None, float("nan"))] + [["FALSE"]],
        "combined": [
            {"review": "好", "price": np.float32(3.3), "size": "M"},
            {"review": "bad", "price": 2, "size": "L"},
        ],
        "image": [picture_file(), bytearray(picture_file()), image, pixels, pixels[:, :, None], turned_picture()],
        "audio": [
            sound_file(),
            sound,
            samples,
            samples[:300],
            whole,
            {"samples": whole, "rate": 1500},
            samples.tolist(),
        ],
    }[kind]


KINDS = ["text", "array", "value", "flag", "combined", "image", "audio"]


@pytest.mark.parametrize("kind", KINDS)
def test_client_predicts_as_the_bundle_when_rows_are_of_each_form(kind, served, tmp_path):
    folder, url = served(kind)
    rows = rows_of(kind, tmp_path)
    bundle = maas.Bundle.open(folder)
    with maas.Client(url) as client:
        for row in rows:  # one by one: the same batch as the server's
            expected = bundle.predict([row])
            found = client.predict([row])
            assert found == expected
            assert [list(map(type, one.values())) for one in found] == [
                list(map(type, one.values())) for one in expected
            ]
            scores, own = client.scores([row]), bundle.predictor.scores([row])
            assert scores.dtype == own.dtype
            assert np.array_equal(scores, own)
        together = client.predict(rows)
        assert [one.get("label") for one in together] == [one.get("label") for one in bundle.predict(rows)]


@pytest.mark.parametrize("kind", ["text", "image"])
def test_async_client_predicts_as_the_bundle_when_calls_overlap(kind, served, tmp_path):
    folder, url = served(kind)
    rows = rows_of(kind, tmp_path)

    async def predict():
        async with maas.AsyncClient(url) as client:
            assert await client.ready()
            replies = await asyncio.gather(*(client.predict([row]) for row in rows))
            return [one for reply in replies for one in reply], await client.scores(rows[:1])

    found, scores = asyncio.run(predict())
    bundle = maas.Bundle.open(folder)
    assert [one["label"] for one in found] == [bundle.predict([row])[0]["label"] for row in rows]
    assert np.array_equal(scores, bundle.predictor.scores(rows[:1]))


def test_threads_get_their_own_predictions_when_they_share_a_client(served):
    folder, url = served("array")
    rows = np.random.default_rng(9).integers(0, 17, (40, 64))
    expected = [maas.Bundle.open(folder).predict([row]) for row in rows]
    with maas.Client(url) as client, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda row: client.predict([row]), rows)) == expected


def test_model_and_version_are_chosen_when_they_are_named(served):
    folder, url = served("array")
    row = np.zeros(64)
    with maas.Client(url) as client:
        expected = maas.Bundle.open(folder).predict([row])
        assert client.predict([row], model="digits") == client.predict([row], "digits", 1) == expected
        with pytest.raises(InputError, match="'digit'"):
            client.predict([row], model="digit")
        with pytest.raises(InputError, match="version"):
            client.predict([row], model="digits", version=7)


def test_models_are_listed_with_version_and_task_when_a_server_has_several(serving_bundles, start, tmp_path):
    arrays, texts = serving_bundles.array_bundle(tmp_path / "a"), serving_bundles.text_bundle(tmp_path / "t")
    with start(f"model={arrays}", f"model=words={texts}") as url, maas.Client(url) as client:
        found = [(one.name, one.version, one.task, one.ready) for one in client.models()]
        assert found == [("digits", "1", "tabular-classification", True), ("words", "1", "text-classification", True)]
        assert client.predict(["好"], "words") == maas.Bundle.open(texts).predict(["好"])
        assert asyncio.run(listed(url)) == ["digits", "words"]


async def listed(url: str) -> list[str]:
    async with maas.AsyncClient(url) as client:
        return [one.name for one in await client.models()]


def test_many_rows_are_predicted_in_parts_when_the_server_takes_fewer(serving_bundles, start, tmp_path):
    folder = serving_bundles.array_bundle(tmp_path / "array")
    rows = np.random.default_rng(7).integers(0, 17, (500, 64))
    with start(f"model={folder}", "max_queue=60", "max_body_bytes=4000") as url, maas.Client(url) as client:
        scores = client.scores(rows)
        assert np.allclose(scores, maas.Bundle.open(folder).predictor.scores(rows), atol=1e-6)
        wrong = rows.tolist()
        wrong[321][5] = 99
        with pytest.raises(InputError, match=r"^Row 321 holds values from 0 to 99; they must lie in \[0, 16\].$"):
            client.predict(wrong)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("text", "predict takes a list of inputs; it was given one str. Write [input]."),
        ({"flag": 1}, "predict takes a list of inputs; it was given one dict. Write [input]."),
        ([], "No rows were given; the model needs at least one."),
        ([float("inf")], "Row 0 holds a number that is not finite; send null for a value that is missing."),
        (
            ["x", [1.0, float("-inf")]],
            "Row 1 holds a number that is not finite; send null for a value that is missing.",
        ),
        ([{1: 2}], "Row 0 has the column 1; names of columns are texts."),
    ],
)
def test_what_is_no_list_of_rows_is_refused_in_one_line_before_it_is_sent(inputs, message):
    with maas.Client("http://127.0.0.1:9") as client, pytest.raises(InputError) as found:
        client.predict(inputs)
    assert str(found.value) == message


@pytest.mark.parametrize("row", [{1, 2}, object(), np.datetime64("2026-01-01"), "\ud800"])
def test_row_that_json_has_no_form_for_is_refused_with_its_number(row):
    with maas.Client("http://127.0.0.1:9") as client, pytest.raises(InputError, match="^Row 1 "):
        client.predict(["fine", row])


def test_file_that_is_missing_is_named_when_it_is_to_be_sent(tmp_path):
    with maas.Client("http://127.0.0.1:9") as client, pytest.raises(InputError, match=r"^Row 0 is the file gone.png, "):
        client.predict([tmp_path / "gone.png"])


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host", "http://", "grpc://host:1"])
def test_url_that_is_none_of_http_is_refused(url):
    with pytest.raises(ConfigError, match="^url is "):
        maas.Client(url)


def test_server_that_is_away_is_not_ready_and_is_named_with_the_reason():
    with maas.Client("http://127.0.0.1:9", retries=0) as client:
        assert not client.ready()
        with pytest.raises(ServerError, match=r"^http://127.0.0.1:9 cannot be reached: .*refused"):
            client.predict(["x"])


def test_server_of_another_kind_is_named_when_its_reply_is_no_prediction(scripted, reply):
    with (
        scripted(lambda handler, _, __: reply(handler, 200, b"<html>")) as server,
        maas.Client(server.url) as client,
        pytest.raises(ServerError, match="none of a server of maas"),
    ):
        client.predict(["x"])


def test_prefix_headers_and_one_connection_are_used_when_calls_follow_each_other(scripted, reply):
    connections, headers = set(), []

    def respond(handler, _, body):
        connections.add(handler.client_address)
        headers.append(handler.headers["authorization"])
        reply(handler, 200, json.dumps({"predictions": [{"value": 1.0}] * len(json.loads(body)["inputs"])}).encode())

    with (
        scripted(respond) as server,
        maas.Client(f"{server.url}/a/b/", headers={"authorization": "Bearer t"}) as client,
    ):
        assert client.predict([1, 2], "m", "champion") == [{"value": 1.0}] * 2
        client.predict([3])
    assert {path for path, _ in server.seen} == {"/a/b/v1/predictions"}
    assert json.loads(server.seen[0][1]) == {"inputs": [1, 2], "model": "m", "version": "champion"}
    assert headers == ["Bearer t"] * 2
    assert len(connections) == 1
