"""Several models and several versions of one, served side by side."""

import asyncio
import html
import re
import subprocess
from urllib.parse import quote

import jsonschema
import pytest
import yaml

from maas.errors import ConfigError
from maas.serving.entries import LocatedEntry, ModelEntry
from maas.serving.faults import UnknownModelError
from maas.serving.repository import Repository, VersionLabel


@pytest.fixture(scope="module")
def folders(tmp_path_factory, bundles):
    """Two bundles of one model and one of another."""
    place = tmp_path_factory.mktemp("bundles")
    return (
        bundles.array_bundle(place / "one"),
        bundles.array_bundle(place / "two", seed=1),
        bundles.text_bundle(place / "text"),
    )


def add(repository, folder, version, **settings):
    repository.add(LocatedEntry(ModelEntry(model=str(folder), **settings), str(folder), None, version))


@pytest.fixture
def repository(folders):
    one, two, text = folders
    repository = Repository()
    add(repository, one, "3", labels=("champion",))
    repository.open(text)
    add(repository, two, "4", labels=("challenger", "next"), default=True)
    yield repository
    asyncio.run(repository.close())


def test_versions_and_labels_are_found_when_a_model_is_served_in_several(repository):
    snapshot = repository.snapshot
    three, four = snapshot.find("digits", "3"), snapshot.find("digits", "4")
    assert three is not four
    assert snapshot.find("digits") is four
    assert snapshot.find("digits", "champion") is three
    assert snapshot.find("digits", "next") is snapshot.find("digits", "challenger") is four
    assert snapshot.labels_of(four) == ("challenger", "next")
    assert [one.version for one in snapshot.versions("digits")] == ["4", "3"]
    assert snapshot.first is four
    assert [one.name for one in snapshot.predicting] == ["digits", "digits", "sentiment"]


def test_versions_are_named_with_labels_when_another_is_wanted(repository):
    with pytest.raises(UnknownModelError) as caught:
        repository.snapshot.find("digits", "5")
    assert str(caught.value) == ("Model 'digits' is served in versions 4 (challenger, next) and 3 (champion), not 5.")


def test_default_model_is_first_when_it_is_set(repository):
    before = repository.snapshot
    repository.set_default("sentiment")
    assert repository.snapshot.first.name == "sentiment"
    assert before.first.name == "digits"
    with pytest.raises(ConfigError, match="default is 'mood', and the models are"):
        repository.set_default("mood")


def test_digest_changes_when_a_label_moves(repository):
    snapshot = repository.snapshot
    moved = type(snapshot)(snapshot.predicting, (VersionLabel("digits", "champion", "4"), *snapshot.labels[1:]))
    assert moved.digest != snapshot.digest


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"version": "3"}, "digits version 3 is named twice: "),
        ({"version": "5", "labels": ("next",)}, "Label next names versions 4 and 5 of digits"),
        ({"version": "5", "default": True}, "Both versions 4 and 5 of digits are the default"),
    ],
)
def test_model_is_refused_in_one_line_when_it_contradicts_another(repository, folders, settings, message):
    before = repository.snapshot
    with pytest.raises(ConfigError, match=message) as caught:
        add(repository, folders[0], **settings)
    assert "\n" not in str(caught.value)
    assert repository.snapshot is before


def test_server_answers_for_each_of_several_models(start, folders, tmp_path):
    one, two, text = folders
    file = tmp_path / "models.yaml"
    file.write_text(
        f"default: digits\nmodels:\n  - {{model: {text}, name: mood, batch_size: 2}}\n"
        f"  - {{model: {one}, version: 7, labels: [stable]}}\n  - {{model: {two}, version: 8}}\n"
    )
    with start(f"model=second={one}", f"models={file}") as server:
        assert server.lines[0].startswith(
            "digits version 7, digits version 8, second version 1 and mood version 1 are served at "
        )
        rows = {"input_data": [[0] * 64]}
        answers = [
            server.client.post("/predict", json={**rows, **which}).json()["predictions"]
            for which in ({}, {"version": "7"}, {"version": "stable"}, {"version": 8}, {"model": "second"})
        ]
        assert answers[0] == answers[1] == answers[2] == answers[4] != answers[3]
        assert set(server.client.post("/v1/text-classification", json={"text": "好"}).json()) == {"label", "score"}
        ready = server.client.get("/v2/models/digits/versions/stable/ready")
        assert ready.status_code == 200
        long = {"input_data": [[0] * 64] * 200, "version": "stable"}  # read by another process
        assert server.client.post("/predict", json=long).json()["predictions"][0] == pytest.approx(answers[0][0])
        assert server.metric('maas_queue_rows{model="mood",version="1"}') == 0
        lines = [line.rpartition(" ")[0] for line in server.client.get("/metrics").text.splitlines()]
        samples = [line for line in lines if not line.startswith("#")]
        assert len(samples) == len(set(samples))  # Prometheus refuses a page that has a sample twice


def test_documents_hold_for_every_model_when_there_are_several(start, folders, tmp_path, bundles):
    one, two, text = folders
    value = bundles.value_bundle(tmp_path / "value", bias=3, deviation=2)
    small = bundles.array_bundle(tmp_path / "small", width=4, labels=3)
    file = tmp_path / "models.yaml"
    entries = [
        {"model": one, "version": "7", "labels": ["stable"]},
        {"model": two, "version": "8"},
        {"model": small, "name": "小"},
        {"model": text, "name": "mood"},
        {"model": value, "lazy": True},
    ]
    file.write_text(yaml.safe_dump({"models": [{**entry, "model": str(entry["model"])} for entry in entries]}))
    with start(f"models={file}") as server:
        document = server.client.get("/openapi.json").json()
        assert document["info"]["title"] == "digits, 小, mood, price"
        assert "digits version 7 (stable): tabular-classification" in document["info"]["description"]
        for name, version, rows in (
            ("digits", "7", [[0] * 64]), ("digits", "8", [[0] * 64]), ("小", "1", [[0] * 4]),
            ("mood", "1", ["好"]), ("price", "1", [[0] * 4]),
        ):  # fmt: skip
            body = {"input_data": rows, "model": name, "version": version}
            described = document["paths"]["/predict"]["post"]
            jsonschema.validate(body, described["requestBody"]["content"]["application/json"]["schema"])
            reply = server.client.post("/predict", json=body)
            schema = described["responses"]["200"]["content"]["application/json"]["schema"]
            jsonschema.validate(reply.json(), schema)
            page = server.client.get("/docs", params={"model": name, "version": version}).text
            assert_commands_work(page, server, name, version)
        links = set(re.findall(r'href="\?(model=[^"]+)"', server.client.get("/docs").text))
        assert len(links) == 4
        for link in links:
            assert server.client.get(f"/docs?{html.unescape(link)}").status_code == 200
        assert server.client.get("/docs?model=z").status_code == 404


def assert_commands_work(page, server, name, version):
    """Each command of a page is answered by the page's model."""
    commands = [html.unescape(one) for one in re.findall(r"<pre><code>(curl .*?)</code>", page, re.DOTALL)]
    assert len(commands) > 3
    for command in commands:
        if "@FILE" in command:
            continue
        done = subprocess.run(
            ["bash", "-c", f"ORIGIN={server.url}; {command.replace(chr(39) + '$ORIGIN', '$ORIGIN' + chr(39))} -D -"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith("HTTP/1.1 200"), (command, done.stdout)
        found = re.findall(r"^maas-(model|version): (\S+)", done.stdout, re.MULTILINE)
        assert dict(found) == {"model": quote(name), "version": version}, command
