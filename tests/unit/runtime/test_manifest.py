"""Whatever a manifest was made to say: the bundle opens and predicts as before, or one line says what is wrong."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from maas.errors import BundleError
from maas.runtime.bundle import Bundle

VALUES = [None, True, -1, 0, 1, 3, 10**6, 2**40, 10**400, -0.5, 1e308, "", "a", "\n", "\x00", "\ud800", "é" * 9999]
VALUES += [[], ["a", "a"], [2**31, 2**31], [1, "2"], {}, {"a": {"b": []}}]
ABSENT = object()


def paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the way to every value, the inner ones included."""
    if path:
        yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from paths(value, (*path, key))


def changed(content: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Returns a copy with another value, or none, at a path."""
    content = deepcopy(content)
    node: Any = content
    for key in path[:-1]:
        node = node[key]
    if value is ABSENT:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return content


def refused_or_same(folder: Path, expected: list[dict[str, Any]], inputs: list[Any]) -> str:
    """Returns the one line of a refusal, or nothing where the answers are the same."""
    said = ""
    try:
        assert Bundle.open(folder).predict(inputs) == [pytest.approx(one, abs=1e-6) for one in expected]
    except BundleError as error:
        said = str(error)
    assert "".join(said.splitlines()) == said
    assert len(said) < 1500
    return said


SIZES = {"array_bundle": {"width": 2, "labels": 2}, "text_bundle": {}, "value_bundle": {"bias": 3, "deviation": 1}}


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", SIZES)
def test_bundle_gives_the_same_answers_or_one_line_when_any_field_is_another(bundles, tmp_path, kind, every):
    """Each field has every ninth value, and each value stands in many fields; slowly, each stands in each."""
    folder = getattr(bundles, kind)(tmp_path / "bundle", **SIZES[kind])
    bundle, manifest = Bundle.open(folder), folder / "manifest.json"
    inputs, content = bundle.golden.inputs, json.loads(manifest.read_text())
    expected = bundle.predict(inputs)
    for number, path in enumerate(paths(content)):
        for value in [*VALUES, ABSENT][number % every :: every]:
            manifest.write_text(json.dumps(changed(content, path, value)))
            refused_or_same(folder, expected, inputs)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1", "utf-8-sig"])
def test_bundle_is_refused_in_one_line_when_its_manifest_has_another_encoding(bundles, tmp_path, encoding):
    folder = bundles.array_bundle(tmp_path / "bundle", width=2, labels=2)
    manifest = folder / "manifest.json"
    content = {**json.loads(manifest.read_text()), "name": "preço"}
    manifest.write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))
    assert refused_or_same(folder, [], []).startswith(f"{manifest} cannot be read: ")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("serving", "threads"), 1_000_000, "Expected `int` <= 256 - at `$.serving.threads`"),
        (("serving", "batch_size"), 2**40, "Expected `int` <= 1048576 - at `$.serving.batch_size`"),
        (("serving", "threads"), 0, "Expected `int` >= 1 - at `$.serving.threads`"),
        (
            ("postprocessor",),
            {"kind": "classification"},
            "postprocessor cannot be made: ClassificationPostprocessor.__init__() missing 1 required",
        ),
        (("postprocessor", "labels"), [], "The classification postprocessor cannot be made: it has no labels."),
        (
            ("postprocessor", "labels"),
            ["no", "no"],
            "The classification postprocessor cannot be made: the label 'no' is there twice.",
        ),
        (
            ("postprocessor", "labels"),
            "ab",
            "postprocessor cannot be made with labels='ab': Expected `array`, got `str`.",
        ),
        (
            ("postprocessor", "labels"),
            [1, 2],
            "postprocessor cannot be made with labels=[1, 2]: Expected `str`, got `int` - at `$[0]`.",
        ),
        (("postprocessor", "labels"), ["a"], "cannot predict its golden inputs: "),
        (("postprocessor", "labels"), ["positive", "negative"], "its manifest was altered. Export the model again."),
        (
            ("postprocessor", "labels"),
            ["negative", "positive", "c"],
            "gives probabilities of shape (6, 2), while its manifest's postprocessor has (-1, 3)",
        ),
        (
            ("postprocessor", "colour"),
            "red",
            "The classification postprocessor does not know the setting 'colour'. Upgrade maas.",
        ),
        (("processor", "max_tokens"), 2**60, "processor cannot be made with max_tokens=1152921504606846976: Expected"),
        (
            ("processor", "pad_multiple"),
            10**9,
            "processor cannot be made with pad_multiple=1000000000: Expected `int` <=",
        ),
        (("processor", "keep"), ["end"], "processor cannot be made with keep=['end']: "),
        (("processor", "kind"), "image", "The image processor does not know the setting 'algorithm'. Upgrade maas."),
    ],
)
def test_bundle_is_refused_with_the_reason_when_a_setting_cannot_be(bundles, tmp_path, path, value, message):
    folder = bundles.text_bundle(tmp_path / "bundle")
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(changed(json.loads(manifest.read_text()), path, value)))
    assert message in refused_or_same(folder, [], [])
