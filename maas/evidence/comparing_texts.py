"""Bundles that write texts of the same rows: whose texts are nearer to those that were wanted, how fast, how large."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from maas.data.splits import Split
from maas.errors import BundleError
from maas.evidence.benchmark import interleaved, latency
from maas.evidence.comparing import ComparedBundle, require_one_task
from maas.evidence.metrics import wilson
from maas.evidence.transcript_metrics import transcript_drop, transcript_metrics
from maas.evidence.translation_metrics import translation_drop, translation_metrics
from maas.records.evidence import Interval, Latency
from maas.runtime.bundle import Bundle
from maas.runtime.postprocessors.translation import SPOKEN_TEXT, TRANSLATED_TEXT

SPOKEN_METRICS, TRANSLATED_METRICS = ("wer", "word_accuracy"), ("chrf",)
"""By which bundles can be compared; the first one is taken where another is named."""
ROUNDS, TIMED_ROWS = 5, 4


def text_of_prediction(prediction: Mapping[str, object]) -> str:
    """Returns the text that a model wrote."""
    return str(prediction.get(SPOKEN_TEXT, prediction.get(TRANSLATED_TEXT, "")))


def texts_metric(bundle: Bundle, metric: str | None) -> str:
    """Returns the metric that texts of a bundle are compared by: that one, or the usual one of their kind."""
    known = TRANSLATED_METRICS if bundle.manifest.spoken is None else SPOKEN_METRICS
    return next((one for one in known if one == metric), known[0])


def texts_value(metric: str, texts: Sequence[str], wanted: Sequence[str]) -> Interval:
    """Returns a metric of texts."""
    made = translation_metrics if metric in TRANSLATED_METRICS else transcript_metrics
    return made(texts, wanted)[metric]


def all_metrics(bundle: Bundle, texts: Sequence[str], wanted: Sequence[str]) -> dict[str, Interval]:
    """Returns all metrics of texts that a bundle wrote."""
    return (translation_metrics if bundle.manifest.spoken is None else transcript_metrics)(texts, wanted)


def texts_drop(metric: str, before: Sequence[str], after: Sequence[str], wanted: Sequence[str]) -> Interval:
    """Returns the percentage points that are lost from texts to others of the same rows, with a paired interval.

    Of error rates, they are those of word accuracy: what one gains the other loses.

    Args:
        metric: one of those above.
        before: N texts.
        after: N texts.
        wanted: what each should be.
    """
    return (translation_drop if metric in TRANSLATED_METRICS else transcript_drop)(before, after, wanted)


def compare_texts(bundles: Mapping[str, Bundle], rows: Split, metric: str | None) -> list[ComparedBundle]:
    """Lets every bundle write texts of the same raw rows.

    Args:
        bundles: by name; the others are compared with the first.
        rows: that none of them was trained on.
        metric: by its name in the evidence; None, or one of other tasks, for the usual one.

    Raises:
        BundleError: one of them predicts something else, or the rows have no texts.
    """
    require_one_task(bundles)
    if rows.targets is None or rows.targets.dtype.kind != "O":
        raise BundleError("The rows have no texts that were wanted. Name the recipe of such rows: recipe=NAME.")
    first, wanted = next(iter(bundles.values())), list(rows.targets)
    chosen = texts_metric(first, metric)
    texts = {name: list(map(text_of_prediction, one.predict(list(rows.inputs)))) for name, one in bundles.items()}
    reference, times = next(iter(texts.values())), _latencies(bundles, rows)
    found = []
    for name, bundle in bundles.items():
        same = sum(text == other for text, other in zip(texts[name], reference, strict=True))
        found.append(
            ComparedBundle(
                name=name,
                precision=bundle.manifest.precision,
                bytes=bytes_of_graphs(bundle),
                metric=texts_value(chosen, texts[name], wanted),
                drop=None if bundle is first else texts_drop(chosen, reference, texts[name], wanted),
                agreement=wilson(same, len(wanted)).value,
                disagreements=len(wanted) - same,
                slices=(),
                latencies=times[name],
            )
        )
    return found


def bytes_of_graphs(bundle: Bundle) -> int:
    """Returns the size of all graphs of a bundle."""
    return sum((bundle.folder / file).stat().st_size for file in set(bundle.manifest.graphs.values()))


def _latencies(bundles: Mapping[str, Bundle], rows: Split) -> dict[str, tuple[Latency, ...]]:
    """Times the same few rows, one by one, by every bundle in turns, with the first one's threads."""
    threads = next(iter(bundles.values())).manifest.serving.threads
    few = list(rows.spread(TIMED_ROWS).inputs)
    runs: dict[str, Callable[[], object]] = {
        name: partial(_each, bundle.make_predictor(threads=threads).predict, few) for name, bundle in bundles.items()
    }
    times = interleaved(runs, rounds=ROUNDS)
    against = next(iter(times.values()))
    return {name: (latency(np.asarray(one) / len(few), against / len(few), 1, threads),) for name, one in times.items()}


def _each(predict: Callable[[list[object]], object], rows: Sequence[object]) -> None:
    for row in rows:
        predict([row])
