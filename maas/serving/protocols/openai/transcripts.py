"""The forms of a transcript: JSON, with passages or without, the text alone, and subtitles.

Source: https://platform.openai.com/docs/api-reference/audio/verbose-json-object; https://www.w3.org/TR/webvtt1/
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args

from maas.runtime.codec import Outputs
from maas.runtime.postprocessors.translation import DURATION, LANGUAGE, SEGMENTS
from maas.serving.protocols.bodies import encode
from maas.serving.protocols.operations import JSON, TEXT

PlainFormat = Literal["json", "text"]
TimedFormat = Literal["verbose_json", "srt", "vtt"]
ResponseFormat = PlainFormat | TimedFormat
PLAIN_FORMATS: tuple[ResponseFormat, ...] = get_args(PlainFormat)
TRANSCRIPT_FORMATS: tuple[ResponseFormat, ...] = (*PLAIN_FORMATS, *get_args(TimedFormat))
"""Of models that say when something is said."""


def written_transcript(text: str, outputs: Outputs, form: ResponseFormat) -> tuple[bytes, bytes]:
    """Returns the body of a reply and its type.

    Args:
        text: that was said.
        outputs: of the model for one sound.
        form: that is wanted.
    """
    write = _WRITERS[form]
    return write(text, outputs), JSON if form in ("json", "verbose_json") else TEXT


def _json(text: str, outputs: Outputs) -> bytes:  # noqa: ARG001
    return encode({"text": text})


def _text(text: str, outputs: Outputs) -> bytes:  # noqa: ARG001
    return f"{text}\n".encode()


def _verbose_json(text: str, outputs: Outputs) -> bytes:
    segments = [
        {
            "id": number,
            **{name: one[name] for name in ("seek", "start", "end", "text", "tokens")},
            "temperature": 0.0,
            "avg_logprob": one["mean_log_probability"],
        }
        for number, one in enumerate(_segments(outputs))
    ]
    head = {"task": "transcribe", "language": outputs[LANGUAGE][0], "duration": round(float(outputs[DURATION][0]), 2)}
    return encode({**head, "text": text, "segments": segments})


def _srt(text: str, outputs: Outputs) -> bytes:  # noqa: ARG001
    return "".join(
        f"{number}\n{_moment(start, ',')} --> {_moment(end, ',')}\n{said}\n\n"
        for number, (start, end, said) in enumerate(_said(outputs), 1)
    ).encode()


def _vtt(text: str, outputs: Outputs) -> bytes:  # noqa: ARG001
    cues = (f"{_moment(start, '.')} --> {_moment(end, '.')}\n{said}\n\n" for start, end, said in _said(outputs))
    return "".join(("WEBVTT\n\n", *cues)).encode()


def _said(outputs: Outputs) -> Iterator[tuple[float, float, str]]:
    """Yields beginning, end and text of passages; what would end a subtitle stands in none."""
    for one in _segments(outputs):
        if said := " ".join(one["text"].replace("-->", "->").split()):
            yield one["start"], one["end"], said


def _segments(outputs: Outputs) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = outputs[SEGMENTS][0]
    return found


def _moment(seconds: float, mark: str) -> str:
    """Returns a moment as hours, minutes, seconds and milliseconds.

    Example:
        >>> _moment(3671.5, ",")
        '01:01:11,500'
    """
    minutes, rest = divmod(round(1000 * seconds), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


_WRITERS: Mapping[ResponseFormat, Callable[[str, Outputs], bytes]] = {
    "json": _json,
    "text": _text,
    "verbose_json": _verbose_json,
    "srt": _srt,
    "vtt": _vtt,
}
