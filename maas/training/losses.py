"""Losses that torch does not bring in the form that a recipe needs. They take logits or numbers, never probabilities.

A loss may have `fit(targets)`, which is given the training targets before the first step, or `fit(targets, labels)`,
which also takes the K names in order, as the rows may lack some. Where rows do not weigh one each,
`total_weight(targets)` returns the sum of their weights, of which the loss is a mean.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from maas.bounds import Fraction, Positive
from maas.data.packing import NO_TARGET
from maas.errors import ConfigError
from maas.runtime.postprocessors.transcription import BLANK_SYMBOL


class SquaredError(nn.Module):
    """Σ(y − ŷ)² over n rows, divided by n or by 2n.

    Args:
        convention: `1/n` is the mean squared error, the same as `torch.nn.MSELoss`; `1/2n` is half of it, whose
            gradient is the mean of ŷ − y, so that it meets an `l2` of λ/2 Σθ² on equal terms.

    Source:
        1/n: Goodfellow, Bengio and Courville, Deep Learning, eq. 5.4; 1/2n: Bishop, Pattern recognition, eq. 3.12.
    """

    def __init__(self, convention: Literal["1/n", "1/2n"] = "1/n") -> None:
        super().__init__()
        self._factor = 1.0 if convention == "1/n" else 0.5

    def forward(self, found: Tensor, targets: Tensor) -> Tensor:
        """Returns a scalar.

        Args:
            found: (N,)
            targets: (N,)
        """
        return self._factor * functional.mse_loss(found, targets)


class CrossEntropy(nn.Module):
    """Softmax cross-entropy of rows i with targets y_i: −Σ_i Σ_k w_k q_ik log p_ik / Σ_i w_{y_i}.

    Args:
        label_smoothing: ε; q is 1 − ε + ε/K for the target and ε/K for every other label, each of which counts by its
            own label's weight.
        class_weights: w, one number a label, in the order of the labels; `balanced` is n / (K·n_k) of the training
            rows; null is 1.

    Source:
        Smoothing: Szegedy et al., arXiv:1512.00567, §7; smoothing with weights: torch.nn.CrossEntropyLoss; balanced
        weights: scikit-learn's `compute_class_weight`.
    """

    def __init__(
        self,
        label_smoothing: Fraction = 0.0,
        class_weights: Sequence[Positive] | Literal["balanced"] | None = None,
    ) -> None:
        super().__init__()
        self._smoothing = label_smoothing
        self._class_weights = class_weights
        self.weights: Tensor | None
        self.register_buffer("weights", None, persistent=False)

    def fit(self, targets: ArrayLike, labels: Sequence[str] = ()) -> None:
        """Finds the weights of the labels.

        Args:
            targets: of the training rows.
            labels: the K names; none takes the largest target for the last label.

        Raises:
            ConfigError: there are not as many weights as labels, or they are to be balanced and a label has no row.
        """
        if self._class_weights is None:
            return
        counts = torch.bincount(torch.as_tensor(targets), minlength=len(labels))
        if self._class_weights == "balanced":
            _require_rows(counts.tolist(), labels, "class_weights")
            self.weights = (counts.sum() / (len(counts) * counts)).float()
            return
        self.weights = torch.tensor([float(weight) for weight in self._class_weights])
        if len(self.weights) != len(counts):
            raise ConfigError(
                f"objective.loss.class_weights holds {len(self.weights)} numbers and the data has {len(counts)} "
                "labels; give one a label, or balanced."
            )

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns a scalar.

        Args:
            logits: (N, K)
            targets: int64 (N,)
        """
        weights = None if self.weights is None else self.weights.to(logits)
        return functional.cross_entropy(logits, targets, weights, label_smoothing=self._smoothing)

    def total_weight(self, targets: Tensor) -> float:
        """Returns Σ w_{y_i}.

        Args:
            targets: int64 (N,)
        """
        return float(len(targets)) if self.weights is None else float(self.weights.double()[targets].sum())


class NextToken(nn.Module):
    """Softmax cross-entropy of the next token, −1/M Σ_i Σ_v q_iv log p_iv over the M positions that have a target.

    Args:
        label_smoothing: ε; q is 1 − ε + ε/V for the next token and ε/V for every other one.

    Source:
        Radford et al., GPT, 2018, eq. 1.
    """

    def __init__(self, label_smoothing: Fraction = 0.0) -> None:
        super().__init__()
        self._smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns a scalar.

        Args:
            logits: (N · T, V)
            targets: int64 (N · T,), `NO_TARGET` where a position has none.
        """
        return functional.cross_entropy(logits, targets, ignore_index=NO_TARGET, label_smoothing=self._smoothing)

    def total_weight(self, targets: Tensor) -> float:
        """Returns M.

        Args:
            targets: int64 (…)
        """
        return float((targets != NO_TARGET).sum())


class ItemSoftmax(nn.Module):
    """Softmax cross-entropy of the items that come next, −1/N Σ_i 1/T_i Σ_t log p_i(item t): rows weigh one each.

    Source:
        Liang et al., Variational autoencoders for collaborative filtering, WWW 2018, eq. 2: a multinomial over items.
    """

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns a scalar.

        Args:
            logits: (N, C)
            targets: int64 (N, T), columns of the logits, `NO_TARGET` where a row has fewer.
        """
        is_target = targets != NO_TARGET
        chosen = logits.log_softmax(1).gather(1, targets.clamp(min=0)).where(is_target, 0.0)
        rows = chosen.sum(1) / is_target.sum(1).clamp(min=1)
        return -rows.sum() / max(self.total_weight(targets), 1.0)

    def total_weight(self, targets: Tensor) -> float:
        """Returns the number of rows that have a target.

        Args:
            targets: int64 (N, T)
        """
        return float((targets != NO_TARGET).any(1).sum())


class ConnectionistTemporal(nn.Module):
    """−Σ_i ln P(text_i | sound_i) / Σ_i L_i, nats a character; P sums over all paths through frames that are read so.

    Characters that no training text has are left out of a text; a text that the frames are too few for counts as 0.

    Source:
        Graves et al., Connectionist temporal classification, ICML 2006, eq. 3 and 8; computed by torch's `ctc_loss`.
    """

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns a scalar.

        Args:
            logits: (N, F, C), those of the blank first; frames after a sound's end are blank for certain.
            targets: int64 (N, L), symbols as `maas.data.symbols` makes them.
        """
        is_known = targets > BLANK_SYMBOL
        frames = torch.full((len(logits),), logits.shape[1])
        losses = functional.ctc_loss(
            logits.log_softmax(2).transpose(0, 1),  # (F, N, C)
            targets[is_known],
            frames,
            is_known.sum(1),
            blank=BLANK_SYMBOL,
            reduction="none",
            zero_infinity=True,
        )
        return losses.sum() / self.total_weight(targets)

    def total_weight(self, targets: Tensor) -> float:
        """Returns Σ L_i, where a text without a known character counts as one.

        Args:
            targets: int64 (N, L)
        """
        return float((targets > BLANK_SYMBOL).sum(1).clamp(min=1).sum())


class BinaryCrossEntropy(nn.Module):
    """Cross-entropy of a sigmoid over each logit: the mean of −w·y log σ(z) − (1 − y) log σ(−z) over all of them.

    Args:
        label_smoothing: ε; the targets are 1 − ε/2 and ε/2, as a softmax over two labels would have them.
        positive_weight: w, of rows with the second label, or with a label of a set; `balanced` is n₀ / n₁ of the
            training rows, for each label of a set.

    Source:
        Bishop, Pattern recognition, eq. 4.90.
    """

    def __init__(self, label_smoothing: Fraction = 0.0, positive_weight: Positive | Literal["balanced"] = 1.0) -> None:
        super().__init__()
        self._smoothing = label_smoothing
        self._positive_weight = positive_weight
        self._weight: list[float] = [1.0 if positive_weight == "balanced" else float(positive_weight)]

    def fit(self, targets: ArrayLike, labels: Sequence[str] = ()) -> None:
        """Finds the weight of the second label.

        Args:
            targets: of the training rows, 0 or 1, (N,) or (N, K).
            labels: the two names, or the K names; none names them by their targets.

        Raises:
            ConfigError: it is to be balanced, and one of the labels has no row.
        """
        if self._positive_weight == "balanced":
            positive = torch.as_tensor(targets).double()
            there = positive.sum(dim=0)
            absent = len(positive) - there
            if positive.ndim == 1:
                _require_rows([int(absent), int(there)], labels, "positive_weight")
            else:
                _require_rows(there.int().tolist(), labels, "positive_weight")
            self._weight = (absent / there).reshape(-1).tolist()

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns a scalar.

        Args:
            logits: (N,), or (N, K)
            targets: 0 or 1, float, of the same shape
        """
        smoothed = targets * (1 - self._smoothing) + self._smoothing / 2
        return functional.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=logits.new_tensor(self._weight))


def _require_rows(counts: Sequence[int], labels: Sequence[str], setting: str) -> None:
    """Raises ConfigError where weights are to be balanced and a label has no training row: n / (K·0) is no weight."""
    absent = [labels[place] if labels else str(place) for place, count in enumerate(counts) if not count]
    if absent:
        raise ConfigError(
            f"objective.loss.{setting} is balanced, and no training row is {', '.join(absent[:5])}; each of the "
            f"{len(counts)} labels needs one. Add rows of it, leave it out of data.labels, or write weights as numbers."
        )
