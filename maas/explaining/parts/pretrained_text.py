"""Texts for pretrained models: their words."""

from maas.explaining.words import Words


class PretrainedTextParts(Words):
    """Words, as any text's."""
