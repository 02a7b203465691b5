"""A sequence-to-sequence net of a few thousand random parameters, with the processor of its texts."""

import tempfile
from pathlib import Path
from typing import Any

import torch

from maas.exporting.trained_translator import TrainedTranslator
from maas.models.seq2seq import Seq2Seq
from maas.records.evidence import DataRecord
from maas.records.manifest import Lineage
from maas.runtime.processors.translated_text import TranslatedTextProcessor
from maas.training.checkpoint import NetRecord, save_checkpoint

TEXTS = [
    "the meeting",
    "这是一个很棒的文本",
    "a text that is somewhat longer than the others",
    "x",
    "1984, 🙂",
    "no",
    "yes",
    "she is coming home",
]
SHAPE = {"width": 32, "encoder_layers": 2, "decoder_layers": 2, "heads": 4, "feed_forward": 48}


def processor() -> TranslatedTextProcessor:
    """Returns one whose texts have at most 24 tokens."""
    made = TranslatedTextProcessor("byte_pairs", vocabulary_size=330, max_tokens=24, pad_multiple=4)
    return made.fit([text[:12] for text in TEXTS] * 2 + ["the meeting is coming home", "somewhat longer than others"])


def arguments(**changes: Any) -> dict[str, Any]:
    """Returns the arguments of the net."""
    return {"vocabulary_size": processor().tokens, "rotary_theta": 500.0, "norm_epsilon": 1e-4, **SHAPE, **changes}


def net(seed: int = 3, **changes: Any) -> Seq2Seq:
    """Returns a net whose texts end, some early and some never."""
    torch.manual_seed(seed)
    made = Seq2Seq(**arguments(**changes)).eval()
    with torch.no_grad():
        for weight in made.parameters():
            torch.nn.init.normal_(weight, std=0.25 if weight.ndim > 1 else 0.2)
            if weight.ndim == 1:
                weight.add_(1.0)
        made.embedding.weight[0] *= 2.0  # the end is likely or unlikely, and seldom in between
    return made


def translator() -> TrainedTranslator:
    """Returns the net as its export takes it."""
    with tempfile.TemporaryDirectory() as folder:
        made = save_checkpoint(
            Path(folder) / "checkpoint",
            net(),
            processor(),
            net_record=NetRecord("maas.models.seq2seq.Seq2Seq", arguments()),
            name="tiny",
            task="translation",
            plan=None,
            labels=(),
            postprocessor={},
            history=(),
            best_epoch=0,
            metrics={},
            data=DataRecord("0" * 64, {}, {}),
            lineage=Lineage("none", (), "0" * 64, 0, "0" * 64, None, "0" * 64, "0.1.0"),
        )
        found = TrainedTranslator(made)
        _ = found.net, found.processor, found.weights  # which are read before the folder is gone
        return found
