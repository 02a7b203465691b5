"""What validation watches, in float64: torchmetrics would round a share to 1e-7, and a sum over many rows further."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.utilities import dim_zero_cat

from maas.data.edits import edit_counts
from maas.data.packing import NO_TARGET
from maas.data.ranked import RANKING_METRICS, ranking_quality
from maas.data.symbols import written
from maas.runtime.postprocessors.transcription import texts_of_paths
from maas.runtime.rankings import Rankings
from maas.scoring.values import Value


class OfConfusion(MulticlassConfusionMatrix):
    """A metric that follows from the counts of (target, prediction) pairs over all rows of all processes.

    As in `maas.evidence.metrics`, a mean is one over all K labels; a label without rows or predictions counts as 0.

    Args:
        classes: K.
        value: counts (K, K), targets × predictions, to a scalar.
    """

    def __init__(self, classes: int, value: Callable[[Tensor], Tensor]) -> None:
        super().__init__(classes)
        self._value = value

    def compute(self) -> Tensor:
        """Returns the metric, float64."""
        return self._value(super().compute().double())


class Determination(Metric):
    """R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)² over all rows of all processes; 0 where all targets are equal.

    Squares are summed around the mean of the rows so far: Σy² − (Σy)²/N loses targets that lie far from 0.

    Source:
        Chan, Golub and LeVeque, Algorithms for computing the sample variance, 1983, eq. 2.1.
    """

    rows: Tensor
    mean: Tensor
    spread: Tensor
    errors: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("rows", "mean", "spread", "errors"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx=None)  # gathered as they are

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Adds a batch.

        Args:
            predictions: float64 (N,).
            targets: float64 (N,).
        """
        mean = targets.mean()
        parts = (self.rows, targets.new_tensor(targets.numel())), (self.mean, mean)
        self.rows, self.mean, self.spread = _merged(*parts, (self.spread, (targets - mean).square().sum()))
        self.errors = self.errors + (targets - predictions).square().sum()

    def compute(self) -> Tensor:
        """Returns R², float64."""
        _, _, spread = _merged(self.rows, self.mean, self.spread)
        return torch.where(spread > 0, 1 - self.errors.sum() / spread, 0.0)


class OverRows(Metric):
    """A metric of all rows of all processes together, which no sums over rows give.

    Args:
        value: targets (N,) and scores, (N, K) or (N,), to the metric.
    """

    scores: list[Tensor]
    targets: list[Tensor]

    def __init__(self, value: Value) -> None:
        super().__init__()
        self._value = value
        for name in ("scores", "targets"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, scores: Tensor, targets: Tensor) -> None:
        """Keeps a batch.

        Args:
            scores: (N, K), or numbers (N,).
            targets: (N,).
        """
        self.scores.append(scores.detach())
        self.targets.append(targets)

    def compute(self) -> Tensor:
        """Returns the metric, float64."""
        targets, scores = (dim_zero_cat(one).cpu().numpy() for one in (self.targets, self.scores))
        return torch.tensor(self._value(targets, scores), dtype=torch.float64)


class OverTokens(Metric):
    """A metric that follows from sums over the tokens of all processes; positions without a target do not count.

    Args:
        value: −Σ log p of the next tokens, in nats, how many of them are the likeliest, and how many there are, float64
            scalars, to a scalar.
    """

    nats: Tensor
    right: Tensor
    tokens: Tensor

    def __init__(self, value: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self._value = value
        for name in ("nats", "right", "tokens"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: (N, T, V).
            targets: int64 (N, T), `NO_TARGET` where a position has none.
        """
        logits, targets = logits.flatten(0, 1), targets.flatten()
        nats = functional.cross_entropy(logits, targets, ignore_index=NO_TARGET, reduction="none")
        self.nats = self.nats + nats.double().sum()
        self.right = self.right + (logits.argmax(1) == targets).sum()
        self.tokens = self.tokens + (targets != NO_TARGET).sum()

    def compute(self) -> Tensor:
        """Returns the metric, float64."""
        return self._value(self.nats, self.right, self.tokens)


class OverTranscripts(Metric):
    """A metric that follows from edits of words and characters, summed over the texts of all processes.

    Args:
        characters: of the texts, in the order of the symbols.
        value: edits of words, words, edits of characters and characters, float64 scalars, to a scalar.
    """

    counts: Tensor

    def __init__(self, characters: Sequence[str], value: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._characters = tuple(characters)
        self._value = value
        self.add_state("counts", torch.zeros(5, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        """Adds a batch.

        Args:
            probabilities: (N, F, C).
            targets: int64 (N, L), symbols.
        """
        found = texts_of_paths(probabilities.argmax(2).cpu().numpy(), self._characters)
        wanted = written(targets.cpu().numpy(), self._characters)
        self.counts = self.counts + torch.from_numpy(edit_counts(wanted, found).sum(axis=0)).to(self.counts)

    def compute(self) -> Tensor:
        """Returns the metric, float64."""
        return self._value(self.counts)


class OverRankings(Metric):
    """The mean over the rows of all processes of one of `maas.data.ranked.RANKING_METRICS`.

    Args:
        name: of the metric.
    """

    sums: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        self._place = RANKING_METRICS.index(name)
        self.add_state("sums", torch.zeros(len(RANKING_METRICS) + 1, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, rankings: Tensor, targets: Tensor) -> None:
        """Adds a batch.

        Args:
            rankings: (N, 2R + 1), as `Rankings` reads them.
            targets: int64 (N, T), numbers of items, `NO_TARGET` where a row has fewer.
        """
        wanted = [row[row != NO_TARGET] for row in targets.cpu().numpy()]
        quality = ranking_quality(Rankings.of(rankings.cpu().numpy()).items, wanted)
        self.sums = self.sums + torch.tensor([*quality.sum(axis=0), len(quality)]).to(self.sums)

    def compute(self) -> Tensor:
        """Returns the metric, float64."""
        return self.sums[self._place] / self.sums[-1]


class InFloat64(MetricCollection):
    """Metrics of numbers, whose sums are kept in float64."""

    def __init__(self, metrics: dict[str, Metric]) -> None:
        super().__init__(dict(metrics), compute_groups=False)
        self.set_dtype(torch.float64)

    def update(self, predictions: Tensor, targets: Tensor) -> None:  # type: ignore[override]
        """Adds a batch.

        Args:
            predictions: (N,).
            targets: (N,).
        """
        super().update(predictions.double(), targets.double())


def of_labels(classes: int) -> MetricCollection:
    """Returns accuracy, and macro precision, recall and F1; they share their counts."""
    values = {"accuracy": _accuracy, "precision": _precision, "recall": _recall, "f1": _f1}
    return MetricCollection({name: OfConfusion(classes, value) for name, value in values.items()})


def of_next_tokens() -> MetricCollection:
    """Returns the mean log-likelihood of a token, in nats, the fraction of right ones, and perplexity."""
    values = {"log_likelihood": _log_likelihood, "token_accuracy": _token_accuracy, "perplexity": _perplexity}
    return MetricCollection({name: OverTokens(value) for name, value in values.items()})


def of_transcripts(characters: Sequence[str]) -> MetricCollection:
    """Returns word and character accuracy, and the error rates that they are 1 minus of.

    Args:
        characters: of the texts, in the order of the symbols.
    """
    values = {
        "word_accuracy": _word_accuracy,
        "character_accuracy": _character_accuracy,
        "wer": _word_errors,
        "cer": _character_errors,
    }
    return MetricCollection({name: OverTranscripts(characters, value) for name, value in values.items()})


def of_rankings() -> MetricCollection:
    """Returns all of `maas.data.ranked.RANKING_METRICS`; they share their sums."""
    return MetricCollection({name: OverRankings(name) for name in RANKING_METRICS})


def _merged(*parts: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns rows, mean and Σ(y − ȳ)² of several sets of rows together, from those of each."""
    rows, means, spreads = (torch.stack(part) if isinstance(part, tuple) else part.reshape(-1) for part in parts)
    mean = means[0] + (rows * (means - means[0])).sum() / rows.sum()
    return rows.sum(), mean, spreads.sum() + (rows * (means - mean).square()).sum()


def _accuracy(counts: Tensor) -> Tensor:
    return counts.diagonal().sum() / counts.sum()


def _precision(counts: Tensor) -> Tensor:
    return _mean_ratio(counts.diagonal(), counts.sum(dim=0))


def _recall(counts: Tensor) -> Tensor:
    return _mean_ratio(counts.diagonal(), counts.sum(dim=1))


def _f1(counts: Tensor) -> Tensor:
    return _mean_ratio(2 * counts.diagonal(), counts.sum(dim=0) + counts.sum(dim=1))


def _mean_ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Returns the mean of part / whole, which is 0 where there is no whole."""
    return torch.where(whole > 0, part / whole.clamp(min=1), 0.0).mean()


def _log_likelihood(nats: Tensor, _: Tensor, tokens: Tensor) -> Tensor:
    return -nats / tokens


def _token_accuracy(_: Tensor, right: Tensor, tokens: Tensor) -> Tensor:
    return right / tokens


def _perplexity(nats: Tensor, _: Tensor, tokens: Tensor) -> Tensor:
    return (nats / tokens).exp()


def _word_accuracy(counts: Tensor) -> Tensor:
    return 1 - _word_errors(counts)


def _character_accuracy(counts: Tensor) -> Tensor:
    return 1 - _character_errors(counts)


def _word_errors(counts: Tensor) -> Tensor:
    return counts[0] / counts[1]


def _character_errors(counts: Tensor) -> Tensor:
    return counts[2] / counts[3]
