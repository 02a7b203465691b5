"""What a page says, in the languages that it speaks; names that come from data are never translated."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

from markupsafe import Markup

Language: TypeAlias = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
LANGUAGE_TAGS: Mapping[Language, str] = {"en": "en", "zh": "zh-Hans"}
"""As HTML names languages."""

NO_TEXT = Markup("")


@dataclass(frozen=True)
class Wording:
    """Sentences and names of a page.

    Args:
        language: of the page; None for all of them at once, of which the page shows one.
    """

    language: Language | None = None

    def say(self, key: str, **values: object) -> Markup:
        """Returns a sentence as HTML.

        Args:
            key: of the sentence in `wording.toml`.
            values: what stands in its places; they are escaped.
        """
        return self._written("span", key, values)

    def draw(self, key: str, **values: object) -> Markup:
        """Returns a sentence as the content of an SVG text; arguments as in `say`."""
        return self._written("tspan", key, values)

    def plain(self, key: str, **values: object) -> str:
        """Returns a sentence without markup, for those who do not see a drawing; in all languages of the page."""
        shown = LANGUAGES if self.language is None else (self.language,)
        return " · ".join(sentences()[key][one].format(**values) for one in shown)

    def name(self, group: str, word: str) -> Markup:
        """Returns what a known word of a group is called, such as a metric, as HTML; any other word as it is.

        Args:
            group: group of words, such as `metric`.
            word: word of the evidence.
        """
        return self.say(f"{group}_{word}") if f"{group}_{word}" in sentences() else Markup.escape(word)

    def drawn_name(self, group: str, word: str) -> Markup:
        """Returns what `name` does, as the content of an SVG text."""
        return self.draw(f"{group}_{word}") if f"{group}_{word}" in sentences() else Markup.escape(word)

    def _written(self, element: str, key: str, values: Mapping[str, object]) -> Markup:
        texts = {language: Markup(text).format(**values) for language, text in sentences()[key].items()}  # noqa: S704
        if self.language is not None:
            return texts[self.language]
        both = Markup('<{0} class="{1}" lang="{2}">{3}</{0}>')
        return Markup("").join(both.format(element, one, LANGUAGE_TAGS[one], texts[one]) for one in LANGUAGES)


@cache
def sentences() -> Mapping[str, Mapping[Language, str]]:
    """Returns each sentence by its key, in each language."""
    read = tomllib.loads(files(__package__).joinpath("wording.toml").read_text(encoding="utf-8"))
    return {key: dict(zip(LANGUAGES, texts, strict=True)) for key, texts in read.items()}
