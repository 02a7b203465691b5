"""Each sentence stands in both languages, with the same places, and is used."""

import re
from pathlib import Path
from string import Formatter

import pytest

import maas.reporting
from maas.reporting.wording import Wording, sentences

FOLDER = Path(maas.reporting.__file__).parent
SOURCES = (
    "\n".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.rglob("*")) if path.suffix in (".py", ".j2"))
    + (FOLDER.parent / "report.py").read_text(encoding="utf-8")
    + (FOLDER.parent / "lifecycle/registering.py").read_text(encoding="utf-8")
)
GROUPS = ("metric", "modality", "does", "section", "who", "perturbation", "unit", "budget", "split", "removed", "stage")
GROUPS += ("fact", "number", "examples", "chart")


@pytest.mark.parametrize("key", sentences())
def test_places_are_the_same_when_languages_are_compared(key):
    english, chinese = (
        {(name, spec) for _, name, spec, _ in Formatter().parse(text) if name is not None}
        for text in sentences()[key].values()
    )
    assert english == chinese


@pytest.mark.parametrize("key", sentences())
def test_sentence_is_used_when_it_stands_in_the_file(key):
    assert key.partition("_")[0] in GROUPS or re.search(rf"[\"']{re.escape(key)}[\"']", SOURCES)


def test_values_are_escaped_when_they_hold_markup():
    shown = Wording("en").say("slice_label", label="<b>&")
    assert shown == "&lt;b&gt;&amp;"


def test_both_languages_are_there_when_none_is_chosen():
    both = Wording().say("recall")
    assert 'lang="en">recall<' in both
    assert 'lang="zh-Hans">召回率<' in both
    assert Wording().plain("recall") == "recall · 召回率"
    assert Wording("zh").say("recall") == "召回率"


def test_word_stays_as_it_is_when_nobody_knows_it():
    assert Wording("zh").name("metric", "my<metric") == "my&lt;metric"
    assert Wording("zh").name("metric", "accuracy") == "准确率"
