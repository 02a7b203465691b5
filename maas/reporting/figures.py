"""Numbers as people read them."""

from markupsafe import Markup

from maas.records.evidence import Interval

FRACTIONS = frozenset((
    "accuracy", "precision", "recall", "f1", "balanced_accuracy", "exact_match", "word_accuracy", "character_accuracy",
    "wer", "cer", "token_accuracy", "calibration_error",
))  # fmt: skip
"""Metrics that are shown in per cent."""
LESS_IS_BETTER = frozenset((
    "mae", "rmse", "mape", "quantile_loss", "wer", "cer", "perplexity", "perplexity_ratio", "bits_per_character",
    "bits_per_byte", "log_loss", "brier", "calibration_error",
))  # fmt: skip
"""Metrics that are better the smaller they are."""
AMOUNT_UNITS = ("B", "kB", "MB", "GB", "TB")


def percent(fraction: float, digits: int = 1) -> str:
    """Returns a fraction in per cent: `86.2 %`."""
    return f"{100 * fraction:.{digits}f} %"


def shown_number(value: float) -> str:
    """Returns a number with about four digits: `0.8543`, `12.35`, `1,736`."""
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
        return "–"
    size = abs(value)
    if size and (size >= 1e9 or size < 1e-4):
        return f"{value:.3g}"
    return f"{value:,.0f}" if size >= 1e4 else f"{value:,.4g}"


def metric_value(metric: str, value: float) -> str:
    """Returns a metric's value, in per cent where it is a fraction of rows or words."""
    return percent(value) if metric in FRACTIONS else shown_number(value)


def metric_interval(metric: str, interval: Interval) -> Markup:
    """Returns the ends of an interval, as HTML: `84.5–87.7 %`."""
    if metric in FRACTIONS:
        low, high = f"{100 * interval.low:.1f}", f"{100 * interval.high:.1f}"
        return Markup("{}–{} %").format(low, high)
    return Markup("{} – {}").format(shown_number(interval.low), shown_number(interval.high))


def byte_size(count: float) -> str:
    """Returns a number of bytes: `1.59 MB`."""
    power = 0
    while count >= 1000 and power < len(AMOUNT_UNITS) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.3g} {AMOUNT_UNITS[power]}"


def seconds_text(seconds: float) -> str:
    """Returns a time: `0.32 s`, `37 s`, `17 min 38 s`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def milliseconds_text(milliseconds: float) -> str:
    """Returns a short time: `0.231 ms`, `1.2 s`."""
    return f"{milliseconds:.3g} ms" if milliseconds < 1000 else seconds_text(milliseconds / 1000)
