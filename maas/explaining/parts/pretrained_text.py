"""Texts for pretrained models: their words."""

from maas.explaining.parts.text import TextParts


class PretrainedTextParts(TextParts):
    """Words, as any text's."""
