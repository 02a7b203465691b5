"""What training minimises: a loss on logits plus penalties on parameters."""

import inspect
import math
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Literal

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from maas.bounds import NonNegative
from maas.errors import ConfigError
from maas.training.precision import widened
from maas.training.windows import WHOLE_STEP, BatchScale


def l2_penalty(parameters: Iterable[Tensor], weight: float) -> Tensor:
    """λ/2 Σθ², whose gradient is λθ: with plain SGD the same as `weight_decay=λ`.

    Args:
        parameters: θ, tensors of any shape.
        weight: λ ≥ 0.

    Returns:
        A scalar.

    Source:
        Goodfellow, Bengio and Courville, Deep Learning, §7.1.1.
    """
    return weight / 2 * _total(parameter.square().sum() for parameter in parameters)


def l1_penalty(parameters: Iterable[Tensor], weight: float) -> Tensor:
    """λ Σ|θ|, whose subgradient is λ sign(θ).

    Args:
        parameters: θ, tensors of any shape.
        weight: λ ≥ 0.

    Returns:
        A scalar.

    Source:
        Goodfellow, Bengio and Courville, Deep Learning, §7.1.2.
    """
    return weight * _total(parameter.abs().sum() for parameter in parameters)


def group_lasso_penalty(parameters: Iterable[Tensor], weight: float) -> Tensor:
    """λ Σ_g √|g| ‖θ_g‖₂, where a group g is what one output of a layer is made from: it vanishes as a whole.

    Args:
        parameters: θ, tensors whose first axis counts outputs; each slice along it is a group of |g| numbers.
        weight: λ ≥ 0.

    Returns:
        A scalar. Where a group is 0, its gradient is taken as 0.

    Source:
        Yuan and Lin, Model selection and estimation in regression with grouped variables, eq. 2.1; on channels: Wen et
        al., arXiv:1608.03665.
    """
    return weight * _total(_group_norms(parameter).sum() for parameter in parameters)


class Objective(nn.Module):
    """loss(logits, targets) + λ₂/2 Σθ² + λ₁ Σ|θ| + λ_g Σ_g √|g| ‖θ_g‖.

    Do not set L2 here and `weight_decay` in the optimizer at once: with SGD and Adam they add up.

    Args:
        loss: takes logits (never probabilities) and targets, gives their mean, a scalar. Where rows weigh differently,
            `total_weight(targets)` gives the sum of their weights (torch's own losses need none).
        l2: λ₂.
        l1: λ₁.
        group_lasso: λ_g; a group holds the weights of one output.
        covers: which parameters are shrunk, by these penalties and by the optimizer's `weight_decay`: `weights` are
            tensors of two or more axes, and so no biases or norms; `all` is everything; a list of patterns
            (`head.*`) is the parameters whose names match one.
    """

    def __init__(
        self,
        loss: nn.Module,
        l2: NonNegative = 0.0,
        l1: NonNegative = 0.0,
        group_lasso: NonNegative = 0.0,
        covers: Literal["weights", "all"] | Sequence[str] = "weights",
    ) -> None:
        super().__init__()
        self.loss = loss
        self._penalties = [
            (penalty, weight)
            for penalty, weight in ((l2_penalty, l2), (l1_penalty, l1), (group_lasso_penalty, group_lasso))
            if weight
        ]
        self.covers = covers

    @property
    def is_penalised(self) -> bool:
        """Whether there is a penalty."""
        return bool(self._penalties)

    def fit(self, targets: ArrayLike, labels: Sequence[str] = ()) -> None:
        """Lets the loss see the training targets, and the labels, if it wants to.

        Args:
            targets: of the training rows.
            labels: the K names, of which the rows may lack some; none where targets are no labels.
        """
        if fit := getattr(self.loss, "fit", None):
            fit(targets, **({"labels": labels} if "labels" in inspect.signature(fit).parameters else {}))

    def forward(self, logits: Tensor, targets: Tensor, net: nn.Module, scale: BatchScale = WHOLE_STEP) -> Tensor:
        """Returns the scalar that training minimises.

        Args:
            logits: (N, K).
            targets: int64 (N,).
            net: whose parameters are penalised.
            scale: what these rows count in their step.
        """
        value = self._weighted(logits, targets, scale.weight)
        if self._penalties:
            covered = [widened(parameter) for parameter in self.covered(net).values()]
            for penalty, strength in self._penalties:
                value = value + penalty(covered, strength * scale.penalty)
        return value

    def _weighted(self, logits: Tensor, targets: Tensor, weight: float) -> Tensor:
        if not weight:  # the mean of no rows is no number; this is 0, and every parameter still has a gradient
            return logits.sum() * 0.0
        value: Tensor = self.loss(logits, targets)
        return value if weight == 1 else value * weight

    def covered(self, net: nn.Module) -> dict[str, nn.Parameter]:
        """Returns the trainable parameters that are shrunk, by name.

        Raises:
            ConfigError: a pattern matches none.
        """
        trainable = {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}
        if self.covers == "all":
            return trainable
        if self.covers == "weights":
            return {name: parameter for name, parameter in trainable.items() if parameter.ndim > 1}
        for pattern in self.covers:
            if not any(fnmatchcase(name, pattern) for name in trainable):
                raise ConfigError(
                    f"objective.covers has the pattern {pattern!r}, which no parameter matches; there are "
                    f"{', '.join(list(trainable)[:8])}{', …' if len(trainable) > 8 else ''}."
                )
        return {name: one for name, one in trainable.items() if any(fnmatchcase(name, p) for p in self.covers)}


def objective_of(made: object) -> Objective:
    """Returns what a recipe's `objective` gave; a loss alone becomes an objective without penalties.

    Raises:
        ConfigError: it is neither, or the loss is no mean.
    """
    loss = made.loss if isinstance(made, Objective) else made
    if isinstance(loss, nn.modules.loss._Loss) and loss.reduction in ("sum", "none"):  # noqa: SLF001 - torch's own base
        raise ConfigError(
            f"{type(loss).__name__} has reduction={loss.reduction}; training minimises a mean, whatever batch_size and "
            "the number of processes are. Leave reduction out, and raise the learning rate instead."
        )
    if isinstance(made, Objective):
        return made
    if not isinstance(made, nn.Module):
        raise ConfigError(
            f"objective gives a {type(made).__name__}; it must give a loss, an nn.Module that takes logits and "
            "targets. Set objective._target_, e.g. objective._target_=torch.nn.CrossEntropyLoss."
        )
    return Objective(made)


def _group_norms(parameter: Tensor) -> Tensor:
    groups = parameter.reshape(parameter.shape[0] if parameter.ndim else 1, -1)
    norms: Tensor = torch.linalg.vector_norm(groups, dim=1)
    return norms.mul(math.sqrt(groups.shape[1]))


def _total(terms: Iterable[Tensor]) -> Tensor:
    return sum(terms, start=torch.zeros(()))
