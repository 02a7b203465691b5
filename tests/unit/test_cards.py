"""Cards show what a value is, and whatever it holds is text."""

import html
import re

from maas.cards import card
from maas.runtime.bundle import Bundle
from tests.unit.reporting.conftest import with_evidence


def text_of(shown: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", shown)).split())


def test_markup_is_text_when_a_card_shows_it():
    shown = card("<b>", "<i>", [("<u>", "<s>"), ("nothing", "")], ["<q>"], [["<p>"]])
    assert text_of(shown) == "<b> <i> <u> <s> <q> <p>"
    assert "nothing" not in shown


def test_bundle_says_what_it_holds_and_how_good_it_is_when_it_is_shown(bundles, tmp_path):
    bundle = with_evidence(bundles.array_bundle(tmp_path / "digits"))
    text = text_of(bundle._repr_html_())
    assert text.startswith("digits bundle task tabular-classification labels 0, 1, 2, 3, 4, 5, 6, 7 and 2 more")
    assert f"{bundle.model_path.stat().st_size:,} bytes, fp32" in text
    assert "metric trained shipped baseline accuracy 0.7800 [0.7600, 0.8000] 0.7750" in text


def test_bundle_says_that_nothing_was_measured_when_it_has_no_evidence(bundles, tmp_path):
    bundle = Bundle.open(bundles.text_bundle(tmp_path / "text"))
    assert "evidence.json" in text_of(bundle._repr_html_())


def test_generating_bundle_is_shown_when_it_has_no_labels(bundles, tmp_path):
    bundle = Bundle.open(bundles.generating_bundle(tmp_path / "writer"))
    assert text_of(bundle._repr_html_()).startswith("tiny bundle task text-generation model")


def test_evidence_says_what_was_measured_where_when_it_is_shown(bundles, tmp_path):
    evidence = with_evidence(bundles.array_bundle(tmp_path / "digits")).evidence
    text = text_of(evidence._repr_html_())
    assert "machine A Processor <9>, 4 cores" in text
    assert "rows train 4,000, validation 400, test 400" in text
    assert "compression eight: It is the smallest within the budget." in text
