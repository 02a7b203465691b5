"""Sound files and raw samples to one channel of float32. Headers are checked before anything is read by them.

It neither resamples nor cuts. An `InputError` of this module says what the sound is; whoever knows which one it was
puts that before it.
"""

import io
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from maas.errors import InputError

SIGNATURES = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS")
LOWEST_RATE, HIGHEST_RATE = 1_000, 192_000  # Hz
MAX_CHANNELS = 64
MAX_SECONDS = 60
MAX_VALUES = 24_000_000  # of all channels in so long: silence as FLAC is a hundred times smaller than the time it takes
LOUDEST = 4.0  # full scale is 1; float files overshoot a little, and whole numbers written as floats by far
SAMPLES = "samples are floats with full scale 1, or whole numbers of 16 bits"
SEVERAL = "Samples are (T,) or (T, channels); several sounds are a list of {'samples': …, 'rate': …}."
BLOCK = 1 << 16  # values that are read at a time


class Sound(NamedTuple):
    """One channel of samples.

    Args:
        samples: float32 (T,), full scale is 1.
        rate: in Hz.
    """

    samples: NDArray[np.float32]
    rate: int


def read_sound(content: bytes, max_seconds: float = MAX_SECONDS) -> Sound:
    """Decodes a WAV, FLAC or Ogg file and averages its channels.

    A WAV file that ends early is read as far as it goes, as a recorder that was cut off leaves it; a FLAC file that
    does is refused.

    Args:
        content: of the file.
        max_seconds: that are read.

    Raises:
        InputError: it is none of these, cannot be decoded, or is of a size or rate that is not read.
    """
    if not content.startswith(SIGNATURES):
        raise InputError(f"begins with {content[:4]!r}, which is no WAV, FLAC or Ogg file; send one of these.")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            require_rate(file.samplerate)
            require_sound_size(file.frames, file.channels, file.samplerate, max_seconds)
            return checked_sound(_samples(file), file.samplerate)
    except soundfile.SoundFileError as error:
        raise InputError(f"is a sound file that cannot be read: {_reason(error)}") from error


def sound_of(values: Any, rate: int, max_seconds: float = MAX_SECONDS) -> Sound:
    """Returns raw samples as a sound.

    Args:
        values: (T,) or (T, C), floats of full scale 1 or whole numbers of 16 bits.
        rate: in Hz.
        max_seconds: that are read.

    Raises:
        InputError: they are no such samples.
    """
    if not isinstance(values, np.ndarray):
        _require_numbers(values)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"holds lists of unequal length: {error}. {SEVERAL}") from error
    if array.dtype.kind not in "if":
        raise InputError(f"holds values of type {array.dtype}; {SAMPLES}.")
    if array.ndim not in (1, 2):
        raise InputError(f"has shape {list(array.shape)}; samples are (T,) or (T, channels).")
    channels = 1 if array.ndim == 1 else array.shape[1]
    if channels > MAX_CHANNELS:
        raise InputError(f"has {channels} channels; at most {MAX_CHANNELS} are read. {SEVERAL}")
    require_sound_size(len(array), channels, rate, max_seconds)
    if array.dtype.kind == "i":
        return checked_sound(_mono(_scaled(array)), rate)
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        return checked_sound(_mono(array.astype(np.float32)), rate)


def require_rate(rate: Any) -> int:
    """Returns a rate that is read.

    Raises:
        InputError: it is no whole number of Hz, or too low or too high.
    """
    is_number = isinstance(rate, int | float | np.number)
    if not is_number or not LOWEST_RATE <= rate <= HIGHEST_RATE or rate != int(rate):
        raise InputError(f"has the rate {rate!r}; whole rates from {LOWEST_RATE} to {HIGHEST_RATE} Hz are read.")
    return int(rate)


def require_sound_size(frames: int, channels: int, rate: int, max_seconds: float = MAX_SECONDS) -> None:
    """Refuses a sound with too many channels or seconds.

    Raises:
        InputError: with the number and the limit.
    """
    if channels > MAX_CHANNELS:
        raise InputError(f"has {channels} channels; at most {MAX_CHANNELS} are read.")
    if frames > max_seconds * rate:
        raise InputError(f"lasts {frames / rate:.1f} s; at most {max_seconds:g} s are read. Send the part that counts.")
    most = round(MAX_VALUES * max(1, max_seconds / MAX_SECONDS))
    if frames * channels > most:
        raise InputError(f"holds {frames * channels} samples in {channels} channels; at most {most} are read.")


def checked_sound(samples: NDArray[np.float32], rate: int) -> Sound:
    """Returns one channel as a sound.

    Raises:
        InputError: there are no samples, or one is not a number of about full scale.
    """
    if not samples.size:
        raise InputError("holds no samples; the model needs at least one.")
    loudest = max(float(samples.max()), -float(samples.min()))
    if not np.isfinite(loudest):
        raise InputError("holds a sample that is not a finite number.")
    if loudest > LOUDEST:
        raise InputError(f"holds samples up to {loudest:g}; {SAMPLES}.")
    return Sound(samples, rate)


def _samples(file: soundfile.SoundFile) -> NDArray[np.float32]:
    """Returns the channels' mean, as far as the file goes and no further than its header says."""
    samples = np.empty(max(0, file.frames), np.float32)
    done = 0
    while len(block := file.read(max(1, BLOCK // file.channels), dtype="float32", always_2d=True)):
        here = samples[done : done + len(block)]
        here[:] = _mono(block)[: len(here)]
        done += len(here)
    return samples[:done]


def _mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T,) or (T, C) to (T,)."""
    return samples.ravel() if samples.ndim == 1 or not samples.size else samples.mean(axis=1, dtype=np.float32)


def _scaled(samples: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    if samples.size and (samples.min() < -32768 or samples.max() > 32767):
        raise InputError(f"holds whole numbers from {samples.min()} to {samples.max()}; {SAMPLES}.")
    return samples.astype(np.float32) / np.float32(32768)


def _require_numbers(values: Any) -> None:
    """Refuses what numpy would turn into something large or strange: texts, truth values, depths beyond two."""
    kinds = set(map(type, values)) if isinstance(values, list | tuple) else {type(values)}
    if kinds and kinds <= {list, tuple}:
        kinds = set(map(type, chain.from_iterable(values)))
    if bool in kinds or not all(issubclass(kind, int | float | np.number) for kind in kinds):
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InputError(f"is a list of {found}; {SAMPLES}.")


def _reason(error: soundfile.SoundFileError) -> str:
    """Returns libsndfile's own words, without the address of the buffer that it read from."""
    return str(getattr(error, "error_string", error))
