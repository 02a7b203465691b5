"""Texts: their words."""

from maas.runtime.explaining.words import Words


class TextParts(Words):
    """Words, as any text's."""
