"""Pretraining of an encoder on the training texts alone: it guesses tokens that were hidden from it.

What it gives depends on the texts' tokens, the net as it begins, the settings, the seed and the code; all of these are
the name under which it is kept in the cache. A killed process resumes in the epoch that it was in.
"""

import fcntl
import hashlib
import io
import json
import logging
import pickle
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from maas.bounds import Count, Fraction, NonNegative, Positive, PositiveFraction
from maas.config.own_files import located, own_files_of_modules
from maas.errors import ConfigError
from maas.files import cache_folder, folder_published_whole, read_json, sha256_of, write_atomically
from maas.runtime.processors import Processor
from maas.training import masking, token_guessing
from maas.training.token_guessing import Epoch, Guessing, Precision, Texts

log = logging.getLogger("maas")
WEIGHTS, RECORD = "weights.safetensors", "pretraining.json"


class PretrainingRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept beside pretrained weights.

    Args:
        settings: of the pretraining.
        seed: random seed.
        texts: how many were read.
        epochs: loss and accuracy of each.
        seconds: wall time of the process that ended it.
        weights_sha256: digest of the weights' file.
    """

    settings: dict[str, Any]
    seed: int
    texts: int
    epochs: tuple[Epoch, ...]
    seconds: float
    weights_sha256: str


@dataclass(frozen=True)
class MaskedTokens:
    """Masked-token pretraining, kept in the cache and resumable.

    Args:
        epochs: passes over the texts.
        lr: the peak of the learning rate; it rises linearly from 0 and falls along half a cosine.
        batch_size: texts in a step.
        mask_fraction: of the tokens that the net has to guess.
        span: mean length of the runs that are hidden, in tokens; 1 hides single tokens.
        weight_decay: of AdamW, on tensors of two or more axes.
        warmup_fraction: fraction of the steps in which the learning rate rises.
        max_norm: longer gradients are cut to this length.
        precision: of products; `bf16` is for processors that have instructions for it.

    Source:
        Devlin et al., BERT, arXiv:1810.04805, §3.1.
    """

    epochs: Count = 10
    lr: Positive = 1e-3
    batch_size: Count = 32
    mask_fraction: PositiveFraction = 0.15
    span: Count = 1
    weight_decay: NonNegative = 0.01
    warmup_fraction: Fraction = 0.05
    max_norm: Positive = 1.0
    precision: Precision = "fp32"

    def pretrain(self, net: nn.Module, processor: Processor, inputs: Sequence[Any], seed: int) -> None:
        """Leaves pretrained weights in `net`; torch's random state stays as it was, whether there was work or not.

        Args:
            net: with an embedding of tokens `embedding` and a method `hidden`, ids (N, T) to vectors (N, T, D).
            processor: fitted; gives `input_ids`.
            inputs: the raw training texts.
            seed: of masks, order and dropout.

        Raises:
            ConfigError: the net cannot guess tokens, or the processor gives none.
        """
        _require_tokens(net, processor)
        texts = Texts(processor, inputs)
        folder = self._folder(net, texts, seed)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f"{folder.name}.lock")):
            record = _kept(folder)
            if record is None:
                record = self._work(net, texts, seed, folder)
            else:
                log.info("pretrain  taken from %s (loss %.4f)", folder, record.epochs[-1].loss)
        net.load_state_dict(load_file(folder / WEIGHTS))

    def left(self, net: nn.Module, processor: Processor, inputs: Sequence[Any], seed: int) -> Guessing | None:
        """Returns the work that `pretrain` would do with the same arguments; None where the cache has its result."""
        _require_tokens(net, processor)
        texts = Texts(processor, inputs)
        folder = self._folder(net, texts, seed)
        return self._begun(net, texts, seed, folder) if _kept(folder) is None else None

    def _work(self, net: nn.Module, texts: Texts, seed: int, folder: Path) -> PretrainingRecord:
        started = time.perf_counter()
        log.info("pretrain  %s texts, %s epochs", len(texts), self.epochs)
        guessing, state = self._begun(net, texts, seed, folder), _state_of(folder)
        for _ in guessing.remaining():
            write_atomically(state, _packed(guessing.state_dict()))
        record = PretrainingRecord(
            asdict(self), seed, len(texts), tuple(guessing.epochs), round(time.perf_counter() - started, 2), ""
        )
        record = _publish(folder, net, record)
        state.unlink(missing_ok=True)
        return record

    def _begun(self, net: nn.Module, texts: Texts, seed: int, folder: Path) -> Guessing:
        guessing = Guessing(net, texts, seed, **asdict(self))
        _go_on(guessing, _state_of(folder))
        return guessing

    def _folder(self, net: nn.Module, texts: Texts, seed: int) -> Path:
        return cache_folder("pretraining", self._key(net, texts, seed))

    def _key(self, net: nn.Module, texts: Texts, seed: int) -> str:
        """SHA-256 of all that the result depends on."""
        digest = hashlib.sha256(json.dumps([asdict(self), seed, repr(net)], sort_keys=True).encode())
        for name, tensor in net.state_dict().items():
            digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        for ids, key in zip(texts.ids, texts.keys, strict=True):
            digest.update(f"{key} {ids.tolist()}".encode())
        modules = (__name__, masking.__name__, token_guessing.__name__, type(net).__module__)
        named = [file for name in modules if (file := located(name).file)]  # none in a notebook
        for source in [*named, *own_files_of_modules([type(net).__module__]).values()]:
            digest.update(source.read_bytes())
        return digest.hexdigest()


def _require_tokens(net: nn.Module, processor: Processor) -> None:
    if "input_ids" not in processor.dynamic_axes:
        raise ConfigError(
            f"pretrain is for tokens, and the {processor.kind} processor gives {', '.join(processor.dynamic_axes)}. "
            "Set pretrain=null."
        )
    if not callable(getattr(net, "hidden", None)) or not isinstance(getattr(net, "embedding", None), nn.Embedding):
        raise ConfigError(
            f"pretrain needs a net with an embedding and a method hidden(input_ids); {type(net).__name__} lacks one of "
            "them. Set pretrain=null or model=encoder."
        )


def _kept(folder: Path) -> PretrainingRecord | None:
    """Returns what is known of finished work; None where there is none, or where its weights were altered."""
    try:
        record = read_json(folder / RECORD, PretrainingRecord)
        intact = sha256_of(folder / WEIGHTS) == record.weights_sha256
    except (OSError, ValueError):
        return None
    if not intact:
        log.warning("%s was altered; it is made again", folder / WEIGHTS)
    return record if intact else None


def _publish(folder: Path, net: nn.Module, record: PretrainingRecord) -> PretrainingRecord:
    with folder_published_whole(folder) as draft:
        weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in net.state_dict().items()}
        save_file(weights, draft / WEIGHTS)
        record = msgspec.structs.replace(record, weights_sha256=sha256_of(draft / WEIGHTS))
        (draft / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    return record


def _state_of(folder: Path) -> Path:
    """Returns where the work stands as long as it is not done."""
    return folder.with_name(f"{folder.name}.state.pt")


def _go_on(guessing: Guessing, state: Path) -> None:
    """Takes up what a killed process left; a state that cannot be read is set aside."""
    if not state.is_file():
        return
    try:
        content = torch.load(state, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        log.warning("%s cannot be read (%s); pretraining starts from the beginning", state, error)
        return
    guessing.load_state_dict(content)
    log.info("pretrain  resumes after epoch %s of %s", len(guessing.epochs), guessing.total_epochs)


def _packed(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Waits until no other process makes the same; a killed process lets go by itself."""
    with path.open("w") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield
