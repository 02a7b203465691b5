"""The text that a sound holds, by C logits at each frame."""

from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MetricCollection

from maas.data.contents import Target
from maas.data.datamodule import BatchDataset, BatchSource
from maas.data.splits import Split
from maas.data.symbols import symbols_of
from maas.runtime.processors import Processor
from maas.training.heads.base import TaskHead
from maas.training.metrics import of_transcripts


class TranscriptionHead(TaskHead):
    """Softmax over a blank and the characters at each of F frames; the loss sums over all paths that are read alike.

    Logits are (N, F, C), those of the blank first; targets are symbols (N, L), as `maas.data.symbols` makes them. The
    labels are the characters of the training texts.
    """

    task: ClassVar[str] = "transcription"
    postprocessor: ClassVar[str] = "transcription"
    target: ClassVar[Target] = "text"
    axes: ClassVar[int] = 3

    def dataset(self, split: Split, processor: Processor) -> BatchSource:
        """Returns what gives a split's batches, the texts as symbols."""
        targets = None if split.targets is None else symbols_of(split.targets, self.labels)
        return BatchDataset(replace(split, targets=targets), processor)

    def facts(self, train: Split) -> dict[str, Any]:
        """Returns C as `outputs`."""
        return {"outputs": 1 + len(self.labels)}

    def postprocessor_record(self, width: int) -> dict[str, Any]:
        """Names the characters."""
        return {"kind": self.postprocessor, "characters": list(self.labels)}

    def metrics(self) -> MetricCollection:
        """Returns word and character accuracy, and the error rates that they are 1 minus of."""
        return of_transcripts(self.labels)

    def prepared(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns both as they are: (N, F, C) and int64 (N, L)."""
        return logits, targets

    def distance(self, logits: Tensor, taught: Tensor, temperature: float, loss: nn.Module) -> Tensor:
        """Returns T² · KL(teacher ‖ net) of the softened probabilities, averaged over all frames.

        Source:
            Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, arXiv:1503.02531, §2.
        """
        soft, wanted = ((one.flatten(0, 1) / temperature).log_softmax(1) for one in (logits, taught))
        return temperature**2 * functional.kl_div(soft, wanted, reduction="batchmean", log_target=True)

    def activated(self, logits: Tensor) -> Tensor:
        """Returns probabilities (N, F, C)."""
        return logits.softmax(dim=2)
