"""Texts: their words."""

from maas.runtime.explaining.words import Words


class Parts(Words):
    """Words, as any text's."""
