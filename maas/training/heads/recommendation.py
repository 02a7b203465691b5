"""Items that a user will have next, by K logits."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from maas.data.contents import SplitTarget
from maas.data.datamodule import BatchSource
from maas.data.histories import HistoryBatches
from maas.data.packing import NO_TARGET
from maas.data.splits import Split
from maas.errors import ConfigError
from maas.runtime.processors import Processor
from maas.runtime.processors.items import ItemsProcessor
from maas.runtime.rankings import NO_ITEM, places_of
from maas.training.heads.base import TaskHead
from maas.training.metrics import of_rankings


class RecommendationHead(TaskHead):
    """Softmax over K items; the loss is cross-entropy of those that come next, of which a row has several.

    The graph gives rankings as `maas.runtime.rankings` reads them, so that K numbers a row never leave it. Labels are
    the names of the items.
    """

    task: ClassVar[str] = "recommendation"
    postprocessor: ClassVar[str] = "recommendation"
    target: ClassVar[SplitTarget] = "items"

    def dataset(self, split: Split, processor: Processor) -> BatchSource:
        """Returns what gives a split's batches: what users had, and what they had next.

        Raises:
            ConfigError: the processor reads no items, or numbers them otherwise than the rows do.
        """
        if not isinstance(processor, ItemsProcessor) or processor.names != self.labels:
            raise ConfigError(
                "task recommendation ranks the items of processor=items, as data=interactions gives them."
            )
        return HistoryBatches(split, processor, len(self.labels))

    def facts(self, train: Split) -> dict[str, Any]:
        """Returns K as `outputs`."""
        return {"outputs": len(self.labels)}

    def postprocessor_record(self, width: int) -> dict[str, Any]:
        """Names the items."""
        return {"kind": self.postprocessor, "items": list(self.labels)}

    def metrics(self) -> MetricCollection:
        """Returns recall, NDCG, hit rate and mean reciprocal rank of the first places."""
        return of_rankings()

    def prepared(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns logits and the columns of a row's targets in them, int64 (N, T).

        Args:
            logits: (N, K), or (N, T + S) of the targets and of S other items.
            targets: int64 (N, T), numbers of items, `NO_TARGET` where a row has fewer.
        """
        if logits.shape[1] == len(self.labels):
            return logits, targets
        columns = torch.arange(targets.shape[1], device=targets.device).expand(targets.shape)
        return logits, columns.masked_fill(targets == NO_TARGET, NO_TARGET)

    def answered(self, net: nn.Module, model_inputs: Mapping[str, Tensor]) -> Tensor:
        """Returns rankings that end where a row wants them to, and by how many items each was made."""
        known = (model_inputs["items"] < len(self.labels)).sum(1)
        return self._ranked(net(**model_inputs), model_inputs["top_k"], known)

    def activated(self, logits: Tensor) -> Tensor:
        """Returns rankings of all places, (N, 2R + 1)."""
        rows = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
        return self._ranked(logits, rows + places_of(len(self.labels)), rows)

    def _ranked(self, logits: Tensor, top_k: Tensor, known: Tensor) -> Tensor:
        places = places_of(len(self.labels))
        scores, items = logits.topk(places, dim=1)  # (N, R) each
        is_item = (torch.arange(places, device=logits.device) < top_k.unsqueeze(1)) & (scores > -torch.inf)
        scores = scores.where(is_item, 0.0)
        numbers = items.where(is_item, NO_ITEM)
        return torch.cat([scores, numbers.to(scores.dtype), known.unsqueeze(1).to(scores.dtype)], dim=1)
