"""Tokens that training rows hardly contain share one vector: the vocabulary is most of a small text model's weights."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maas.bounds import Count
from maas.compression.passes.base import PassContext
from maas.compression.training_rows import TRACED_ROWS, hooked, net_of, training_batches
from maas.errors import ExportError
from maas.training.checkpoint import Checkpoint
from maas.training.merged_embedding import MergedEmbedding, token_rows_of
from maas.training.pruning_plan import PruningPlan


@dataclass(frozen=True)
class PruneVocabulary:
    """Merges the vectors of rare tokens in each embedding of the net's input. The tokeniser stays.

    An embedding is left as it is where the table of rows would weigh as much as the vectors that go.

    Args:
        min_count: smallest number of occurrences in all training rows with which a token keeps its vector; the others
            share the mean of theirs, padding excepted.
    """

    min_count: Count = 2
    side: ClassVar[Literal["checkpoint", "onnx"]] = "checkpoint"
    trains: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def apply(self, parent: Checkpoint, out: Path, context: PassContext) -> Checkpoint:
        """Writes the smaller net; tokens that training rows do not contain have the vector that rare ones share."""
        net = net_of(parent)
        plan, merged = parent.record.plan or PruningPlan(), list[str]()
        for name, counts in _counts(net, parent, context).items():
            embedding = net.get_submodule(name)
            if not isinstance(embedding, nn.Embedding):
                continue
            rows = self._rows(embedding, counts)
            vectors = embedding.num_embeddings - int(rows.max()) - 1
            if vectors * embedding.embedding_dim > len(rows):
                owner, _, leaf = name.rpartition(".")
                setattr(net.get_submodule(owner), leaf, MergedEmbedding.of(embedding, rows))
                merged.append(name)
        if not merged:
            raise ExportError(
                f"{type(net).__name__} has no embedding with enough tokens that are seen fewer than {self.min_count} "
                "times."
            )
        known = msgspec.structs.replace(plan, merged=tuple(sorted({*plan.merged, *merged})))
        return parent.succeeded_by(out, net, known=known, rows=context.rows, history=(), best_epoch=0, metrics={})

    def _rows(self, embedding: nn.Embedding, counts: NDArray[np.int64]) -> Tensor:
        """Returns the row of each token, int32 (V,): rare ones share the first."""
        rows, padding = token_rows_of(embedding).numpy(), embedding.padding_idx
        rare = (counts < self.min_count) & (rows != (-1 if padding is None else padding))
        _, places = np.unique(np.where(rare, -1, rows), return_inverse=True)
        return torch.from_numpy(places.astype(np.int32))


def _counts(net: nn.Module, parent: Checkpoint, context: PassContext) -> dict[str, NDArray[np.int64]]:
    """Returns how often training rows show each token, (V,), for each embedding that a model input goes to, by name."""
    examples = next(training_batches(parent, context, TRACED_ROWS)).inputs
    taken = _taken(net, examples)
    counts = {name: np.zeros(len(token_rows_of(net.get_submodule(name))), np.int64) for name in taken}  # type: ignore[arg-type]
    for batch in training_batches(parent, context, len(context.splits.train)) if taken else ():
        for name, names in taken.items():
            for model_input in names:
                counts[name] += np.bincount(batch.inputs[model_input].numpy().ravel(), minlength=len(counts[name]))
    return counts


def _taken(net: nn.Module, model_inputs: dict[str, Tensor]) -> dict[str, set[str]]:
    """Returns which model inputs each embedding looks up as they are, by the embedding's name."""
    found = dict[str, set[str]]()

    def watch(name: str) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def hook(_: nn.Module, inputs: tuple[object, ...]) -> None:
            for model_input, one in model_inputs.items():
                if one is inputs[0]:
                    found.setdefault(name, set()).add(model_input)

        return hook

    embeddings = {name: one for name, one in net.named_modules() if isinstance(one, nn.Embedding)}
    with hooked(one.register_forward_pre_hook(watch(name)) for name, one in embeddings.items()), torch.no_grad():
        net(**model_inputs)
    return found
