"""Every error that maas raises on purpose.

    MaasError
    ├── ConfigError       a recipe or an override is wrong
    ├── DataError         rows are missing, unreadable or contradictory
    ├── ProcessError      another process, of a training or a plan, ended
    ├── CheckpointError   a checkpoint cannot be opened or rebuilt
    ├── BundleError       a bundle is incomplete, altered or of another version
    ├── ExportError       a net cannot be written as ONNX
    │   └── ParityError   the exported model does not predict as the trained one
    ├── BudgetError       a compression budget cannot be read or met
    ├── RegistryError     the model registry refused or lacks something
    │   └── AbsentError   the registry answers that a model, a version or an alias is not there
    ├── InputError        a raw input cannot be understood
    ├── GenerationError   a model cannot continue a text
    ├── OverloadError     more was requested than can be queued
    ├── DeadlineError     an outcome was not ready in time
    └── ServerError       a server cannot be reached, or failed

A message says what was found, what is required, and what to do. Entries print it as it is and exit with status 2. No
message holds a password: addresses are shown without their credentials.
Where its cause is another library's, `raise … from visible_cause(cause)` hides it, unless MAAS_TRACEBACK=1 is set.
"""

import os
import re

from maas.credentials import without_credentials

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PATH = re.compile(r"(?<![\w.:/])/(?:[^\s/'\"<>:]+/)+([^\s/'\"<>:,]+)")
"""A file of this machine, of which its name is kept."""

TRACEBACK = "MAAS_TRACEBACK"
"""Environment variable; 1 shows what lies below an error that maas explains."""


def shows_chain() -> bool:
    """Returns whether users want to see what lies below an error that maas explains."""
    return os.environ.get(TRACEBACK, "0") not in ("", "0")


def visible_cause(cause: BaseException) -> BaseException | None:
    """Returns the cause of an error that explains it, where users want to see it; else None, which hides it.

    Args:
        cause: what another library raised.

    Example:
        >>> raise ConfigError("The recipe is no YAML.") from visible_cause(cause)  # doctest: +SKIP
    """
    return cause if shows_chain() else None


class MaasError(Exception):
    """Anything that the user of maas can put right.

    Args:
        message: one line; credentials in its addresses are hidden.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(without_credentials(str(message)))


class ConfigError(MaasError):
    """A recipe or an override is wrong."""


class DataError(MaasError):
    """Rows are missing, unreadable or contradictory."""


class ProcessError(MaasError):
    """Another process, of a training or a plan, ended."""


class CheckpointError(MaasError):
    """A checkpoint cannot be opened or rebuilt."""


class BundleError(MaasError):
    """A bundle is incomplete, altered or of another version."""


class ExportError(MaasError):
    """A net cannot be written as ONNX."""


class ParityError(ExportError):
    """The exported model does not predict as the trained one.

    Args:
        message: what differs, and where.
        found: the measured difference.
        allowed: the largest difference allowed.
    """

    def __init__(self, message: str, *, found: float, allowed: float) -> None:
        super().__init__(message)
        self.found = found
        self.allowed = allowed


class BudgetError(MaasError):
    """A compression budget cannot be read or met."""


class RegistryError(MaasError):
    """The model registry refused or lacks something."""


class AbsentError(RegistryError):
    """The registry answers that a model, a version or an alias is not there."""


class InputError(MaasError):
    """A raw input cannot be understood."""


class GenerationError(MaasError):
    """A model cannot continue a text: the fault is the model's, not the prompt's."""


class OverloadError(MaasError):
    """More was requested than can be queued.

    Args:
        message: what is full, and its size.
        retry_after_s: delay before the next request, in seconds.
    """

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineError(MaasError):
    """An outcome was not ready in time."""


class ServerError(MaasError):
    """A server cannot be reached, or failed."""


def one_line(error: BaseException, length: int = 300) -> str:
    """Returns an error's message as part of a line: no line breaks, colours, folders, credentials or last full stop.

    Args:
        error: the error that was caught.
        length: largest number of characters.
    """
    plain = _PATH.sub(r"\1", _COLOUR.sub("", without_credentials(str(error))))
    line = " ".join(plain.split()) or type(error).__name__
    return line.rstrip(".") if len(line) <= length else f"{line[:length]}…"


def innermost_cause(error: BaseException) -> str:
    """Returns the message of the error that others wrap, as a part of a line: it says more than its wrapping."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error)


def shortened_value(value: str, quote: str = "'") -> str:
    """Returns a value that somebody typed or sent, for a message: its two ends where it is long."""
    short = value if len(value) <= 100 else f"{value[:60]} … {value[-20:]}"
    return f"{quote}{short}{quote}"
