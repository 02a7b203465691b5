"""A page says what is known, escapes what comes from data, and needs nothing else."""

import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from maas.data.splits import Split
from maas.errors import BundleError
from maas.reporting.findings import ReportSettings, findings_of
from maas.reporting.held_out import HeldOutRows
from maas.reporting.page import report_page
from maas.reporting.subject import Gap, reported_model
from maas.runtime.bundle import Bundle
from tests.unit.reporting.conftest import MACHINE, REASON, interval, with_evidence

QUICK = ReportSettings(examples=2, measures=False)
HARMFUL = '<script>alert("1")</script><img src=x onerror=alert(2)> & \u202e \x1b[31m'


def page_of(bundle: Bundle, rows=None, settings: ReportSettings = QUICK, language="en") -> str:
    return report_page(findings_of(reported_model(bundle, "models:/digits@champion"), rows, settings), language)


def relabelled(folder: Path, *labels: str) -> Path:
    """Gives a bundle of two labels other ones, in its manifest and its golden outputs."""
    file, outputs = folder / "manifest.json", folder / "golden/outputs.json"
    manifest, golden = json.loads(file.read_text()), json.loads(outputs.read_text())
    names = dict(zip(manifest["postprocessor"]["labels"], labels, strict=True))
    for prediction in golden["predictions"]:
        prediction["label"] = names[prediction["label"]]
    outputs.write_text(json.dumps(golden))
    manifest["files"]["golden/outputs.json"] = hashlib.sha256(outputs.read_bytes()).hexdigest()
    manifest["postprocessor"]["labels"], manifest["name"] = list(labels), f"name {labels[0]}"
    file.write_text(json.dumps(manifest))
    return folder


def test_every_figure_of_the_evidence_is_there_when_a_page_is_made(digits, held_out, read):
    page = read(page_of(digits, held_out(digits)))
    text = " ".join(page.text.split())
    for wanted in ("77.5 %", "70.0 %", "75.5–79.5 %", "7.5 pp", "3.6 times smaller", REASON, MACHINE.processor):
        assert wanted in text, wanted
    assert "the model is better by 7.5 pp" in text
    assert "90 of 400 test rows have a wrong label" in text
    assert "prune.fast" in text
    assert "python -m maas.serve model=models:/digits@champion" in text
    assert digits.digest in text
    assert {"metrics", "confusion", "probabilities", "slices", "examples", "robustness", "line", "compression"} <= {
        one.get("id") for one in page.all("section")
    }


@pytest.mark.parametrize("language", [None, "en", "zh"])
def test_page_needs_nothing_else_when_it_is_opened(digits, held_out, read, language):
    made = page_of(digits, held_out(digits), ReportSettings(examples=3), language)
    page = read(made)
    assert len(made.encode()) < 400_000
    assert not [one for tag in ("link", "iframe", "object", "embed") for one in page.all(tag)]
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,")), (tag, attributes)
    assert "url(" not in made
    assert "@import" not in made


def test_page_can_be_read_aloud_when_it_is_made(digits, held_out, read):
    page = read(page_of(digits, held_out(digits)))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert all(one.get("role") == "img" or one.get("aria-hidden") == "true" for one in page.all("svg"))
    assert len(page.all("title")) > 5
    assert all(one.get("scope") in ("row", "col", "colgroup") for one in page.all("th"))
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(headings))
    ids = [one["id"] for _, one in page.elements if one.get("id")]
    assert len(ids) == len(set(ids))
    anchors = [one["href"][1:] for one in page.all("a")]
    assert anchors
    assert set(anchors) <= set(ids)


def test_markup_is_text_when_labels_texts_and_evidence_hold_it(bundles, tmp_path, read):
    folder = relabelled(bundles.text_bundle(tmp_path / "text"), HARMFUL, "fine")
    metrics = {"shipped": {f"own {HARMFUL}": with_evidence(folder).evidence.metrics["shipped"]["accuracy"]}}
    bundle = with_evidence(folder, metrics=metrics, confusion=((3, 4), (5, 6)))
    rows = [f"good {HARMFUL}", "bad", f"{HARMFUL} so so"]
    held_out = HeldOutRows(Split(rows, np.array([0, 1, 0])), (HARMFUL, "fine"), "rows_of_test")
    found = findings_of(reported_model(bundle, HARMFUL), held_out, QUICK, baseline=HARMFUL)
    page = read(report_page(found, None))
    assert len(page.all("script")) == 1  # the page's own
    assert not page.all("img")
    assert 'alert("1")' in page.text
    assert not re.search("[\u202a-\u202e\x1b]", report_page(found, None))


def test_each_section_is_there_when_a_model_gives_numbers(bundles, tmp_path, read):
    folder = bundles.value_bundle(tmp_path / "value")
    metrics = {"shipped": {"r2": interval(0.9), "mae": interval(1.25)}, "baseline": {"mae": interval(2.0)}}
    bundle = with_evidence(folder, metrics=metrics, confusion=None, compression=None)
    rows = np.random.default_rng(0).integers(0, 16, (50, 4)).tolist()
    targets = bundle.predictor.scores(rows)[:, 0].astype(np.float64) + np.arange(50) / 10
    page = read(page_of(bundle, HeldOutRows(Split(rows, targets), (), "rows_of_test")))
    names = {one.get("id") for one in page.all("section")}
    assert {"numbers", "examples", "metrics"} <= names
    assert not {"confusion", "probabilities", "compression"} & names
    text = " ".join(page.text.split())
    assert "Half of the rows are off by less than 2.45" in text
    assert "Its largest errors" in text


@pytest.mark.parametrize(
    "kind",
    ["table", "gaps", "embedding", "text", "combined", "image", "audio", "speech", "value", "flag", "translating"],
)
def test_golden_rows_are_shown_when_there_is_a_bundle_alone(bundles, tmp_path, read, kind):
    bundle = Bundle.open(getattr(bundles, f"{kind}_bundle")(tmp_path / kind))
    page = read(page_of(bundle, Gap("gap_recipe", {"recipe": "mine"}), language="zh"))
    names = {one.get("id") for one in page.all("section")}
    assert {"lineage", "calling"} <= names
    assert "near" in names if kind == "embedding" else "examples" in names
    assert not {"metrics", "training", "compression"} & names
    text = " ".join(page.text.split())
    assert "没有评测记录" in text
    assert "recipe=FILE.yaml" in text


def test_texts_are_shown_when_a_model_generates(bundles, tmp_path, read):
    bundle = Bundle.open(bundles.generating_bundle(tmp_path / "writer"))
    page = read(page_of(bundle, settings=ReportSettings(examples=2)))
    assert page.all("mark")
    assert {"texts", "calling"} <= {one.get("id") for one in page.all("section")}


def test_no_row_is_shown_when_none_is_wanted(bundles, tmp_path, read):
    bundle = Bundle.open(bundles.text_bundle(tmp_path / "text"))
    page = page_of(bundle, Gap("gap_rows_unread", {"rows": "none"}), ReportSettings(examples=0))
    for row in bundle.golden.inputs:
        assert row not in read(page).text
    assert "rows=none" in page


def test_page_says_why_when_rows_cannot_be_predicted(digits, read):
    rows = HeldOutRows(Split([[0.0] * 64], np.array([0])), ("yes", "no"), "rows_of_test")
    text = " ".join(read(page_of(digits, rows)).text.split())
    assert "the rows have the labels yes, no, the model 0, 1, 2" in text


def test_evidence_of_another_bundle_is_refused_when_it_is_shown(digits):
    with_evidence(digits.folder)
    (digits.folder / "evidence.json").write_text("{}")
    with pytest.raises(BundleError):
        _ = digits.evidence
    assert "There is no evidence" in page_of(digits)


def test_most_frequent_mistakes_are_listed_when_labels_are_many(bundles, tmp_path, read):
    folder = bundles.array_bundle(tmp_path / "many", labels=30)
    confusion = np.diag([5] * 30)
    confusion[3, 7] = 4
    page = read(page_of(with_evidence(folder, confusion=tuple(map(tuple, confusion.tolist())))))
    text = " ".join(page.text.split())
    assert "Most frequent mistakes" in text
    assert "3 7 4 44.4 %" in text
    assert not [one for one in page.all("table") if one.get("class") == "matrix"]
    assert "18 more" in text
