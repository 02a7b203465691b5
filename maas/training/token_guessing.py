"""The loop of masked-token pretraining, an epoch at a time. It knows nothing of caches and files."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Literal, NamedTuple, cast

import msgspec
import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional

from maas.data.datamodule import BatchesByLength
from maas.data.preprocessed import PreprocessedRows
from maas.models.encoder import MaskedTokenHead
from maas.runtime.processors import Array, Processor
from maas.training.masking import masked
from maas.training.merged_embedding import token_rows_of
from maas.training.schedules import cosine

log = logging.getLogger("maas")

Precision = Literal["fp32", "bf16"]
"""Of products; weights and sums are fp32."""
MULTIPLE = 64
"""Hidden tokens are scored in multiples of so many: oneDNN keeps a kernel for each number of rows that it met, which
took a gigabyte when every batch hid another number of tokens."""


class Texts:
    """The training texts as token ids.

    Args:
        processor: fitted; gives `input_ids`.
        inputs: N raw texts.
    """

    def __init__(self, processor: Processor, inputs: Sequence[Any]) -> None:
        self._processor = processor
        self._preprocessed = PreprocessedRows(processor, inputs)
        self.keys = self._preprocessed.keys

    def __len__(self) -> int:
        return len(self._preprocessed)

    @property
    def ids(self) -> Iterator[Array]:
        """The token ids of each text, int64 (T,)."""
        return (row["token_ids"] for row in chain.from_iterable(self._preprocessed.pieces()))

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Returns int64 (N, T), padded with 0."""
        return torch.from_numpy(self._processor.batch(self._preprocessed.take(indices))["input_ids"])

    def log_frequencies(self, rows: Tensor) -> Tensor:
        """Returns log(frequency of each of an embedding's vectors) (V',); one that never occurs counts as one.

        Args:
            rows: int32 (V,), the vector of each token.
        """
        of_token, size = rows.cpu().numpy(), int(rows.max()) + 1
        counts = np.zeros(size, dtype=np.int64)
        for piece in self._preprocessed.pieces():
            counts += np.bincount(of_token[np.concatenate([row["token_ids"] for row in piece])], minlength=size)
        counts = counts.clip(min=1)
        return torch.from_numpy(np.log(counts / counts.sum())).to(torch.float32)


class Epoch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an epoch gave: mean cross-entropy of the guesses in nats, and the fraction of right ones."""

    loss: float
    accuracy: float


class GuessingStep(NamedTuple):
    """What a batch gave, as sums."""

    loss: float
    right: int
    guessed: int


class Guessing:
    """A net, the head that guesses for it, and their optimizer.

    Every epoch seeds torch, so an epoch depends on the weights and the optimizer before it and on nothing else.

    Args:
        net: with `embedding` and `hidden`; of tokens that share a vector it is guessed which vector is theirs.
        texts: to read.
        seed: of masks, order and dropout.
        epochs, lr, batch_size, mask_fraction, span, weight_decay, warmup_fraction, max_norm, precision: as in
            `MaskedTokens`.
    """

    def __init__(
        self,
        net: nn.Module,
        texts: Texts,
        seed: int,
        *,
        epochs: int,
        lr: float,
        batch_size: int,
        mask_fraction: float,
        span: int,
        weight_decay: float,
        warmup_fraction: float,
        max_norm: float,
        precision: Precision,
    ) -> None:
        self.epochs: list[Epoch] = []
        self.total_epochs = epochs
        self._texts, self._seed = texts, seed
        self._mask_fraction, self._span, self._max_norm = mask_fraction, span, max_norm
        self._hidden = cast("Callable[[Tensor], Tensor]", net.hidden)
        self._device = next(net.parameters()).device
        self._precision = precision
        with _seeded(seed, 0, self._device):
            self._head = MaskedTokenHead(net.embedding)  # type: ignore[arg-type]  # checked before
        with torch.no_grad():  # else the first hundreds of steps learn nothing but which tokens are frequent
            self._head.bias.copy_(texts.log_frequencies(token_rows_of(self._head.embedding)))
        self._head.to(self._device)
        self._rows = token_rows_of(self._head.embedding).long().to(self._device)
        self._modules = nn.ModuleDict({"net": net, "head": self._head})  # names a shared parameter once
        self.batches = BatchesByLength(texts.keys, batch_size, seed)
        """Which texts go together, in the order of the epoch."""
        self._optimizer = torch.optim.AdamW(_groups(self._modules, weight_decay), lr=lr)
        self._schedule = cosine(self._optimizer, epochs * len(self.batches), warmup_fraction)

    def remaining(self) -> Iterator[Epoch]:
        """Runs the epochs that are left and yields each as it ends."""
        steps = len(self.batches)
        with Progress(disable=not sys.stdout.isatty()) as bar:
            shown = bar.add_task("pretrain", total=self.total_epochs * steps, completed=len(self.epochs) * steps)
            while len(self.epochs) < self.total_epochs:
                started = time.perf_counter()
                self.epochs.append(self._epoch(lambda: bar.advance(shown)))
                if bar.disable:
                    self._say(time.perf_counter() - started)
                yield self.epochs[-1]

    def state_dict(self) -> dict[str, Any]:
        """All that the epochs to come depend on: tensors and plain values."""
        return {
            "modules": self._modules.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "epochs": [msgspec.structs.asdict(epoch) for epoch in self.epochs],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resumes after the epochs of an interrupted process."""
        self._modules.load_state_dict(state["modules"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self.epochs = [Epoch(**epoch) for epoch in state["epochs"]]

    def steps(self) -> Iterator[GuessingStep]:
        """Takes the steps of the next epoch, and yields what each batch gave."""
        number = len(self.epochs)
        self._modules.train()
        self.batches.set_epoch(number)
        with _seeded(self._seed, number + 1, self._device):
            for indices in self.batches:
                yield self._step(self._texts.batch(indices).to(self._device))

    def _epoch(self, on_step: Callable[[], None]) -> Epoch:
        loss, right, guessed = 0.0, 0, 0
        for step in self.steps():
            loss, right, guessed = loss + step.loss, right + step.right, guessed + step.guessed
            on_step()
        return Epoch(loss / max(1, guessed), right / max(1, guessed))

    def _step(self, input_ids: Tensor) -> GuessingStep:
        shown, is_guessed = masked(input_ids, self._mask_fraction, self._span, len(self._rows))
        wanted = self._rows[input_ids[is_guessed]]  # (M,)
        extra = -len(wanted) % MULTIPLE
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            padded = functional.pad(self._hidden(shown)[is_guessed], (0, 0, 0, extra))
            logits = self._head(padded)[: len(wanted)].float()  # (M, V)
        loss = functional.cross_entropy(logits, wanted, reduction="sum")
        self._optimizer.zero_grad()
        torch.autograd.backward(loss / max(1, len(wanted)))
        nn.utils.clip_grad_norm_(self._modules.parameters(), self._max_norm)
        self._optimizer.step()
        self._schedule.step()
        return GuessingStep(float(loss.detach()), int((logits.argmax(1) == wanted).sum()), len(wanted))

    def _say(self, seconds: float) -> None:
        done, last = len(self.epochs), self.epochs[-1]
        log.info(
            "pretrain  epoch %s/%s  loss %.4f  accuracy %.4f  %.0f s, about %.0f s left",
            done, self.total_epochs, last.loss, last.accuracy, seconds, seconds * (self.total_epochs - done),
        )  # fmt: skip


def _groups(modules: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Biases and norms do not decay: they have one axis."""
    parameters = list(modules.parameters())
    return [
        {"params": [one for one in parameters if one.ndim > 1], "weight_decay": weight_decay},
        {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
    ]


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seeds torch for one epoch, and puts its random states back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0]))
        yield
