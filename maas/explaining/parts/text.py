"""Texts: their words."""

from maas.explaining.words import Words


class TextParts(Words):
    """Words, as any text's."""
