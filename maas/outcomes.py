"""How a verb ends: what it prints, for people or as one JSON object, and its exit status.

With `--json` standard output holds one JSON object and nothing else; the log goes to standard error.
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

import msgspec

from maas.command_line import JSON_FLAG
from maas.errors import MaasError, shows_chain

BUG_STATUS, USAGE_STATUS, UNMET_STATUS, INTERRUPTED_STATUS, CLOSED_STATUS = 1, 2, 3, 130, 141
EXIT_STATUSES: Mapping[int, str] = {
    0: "all that was requested is done",
    BUG_STATUS: "a fault of maas itself; a traceback shows where",
    USAGE_STATUS: "it cannot be done: a line on standard error says what was found, what is required and what to do",
    UNMET_STATUS: "it is done but for a part: rows or prompts have an error, or nothing keeps the budget",
    INTERRUPTED_STATUS: "Ctrl-C; the same command resumes where it can",
    CLOSED_STATUS: "the reader of the output has left, as with head",
}
"""Exit statuses of all verbs, and what each means."""


@dataclass(frozen=True)
class VerbOutcome:
    """What a verb gives.

    Args:
        record: plain values and structs, for programs.
        show: text for people, or what prints it.
        status: exit status.
    """

    record: object
    show: str | Callable[[], object]
    status: int = 0


def give(outcome: VerbOutcome, *, is_json: bool = False) -> None:
    """Prints an outcome, and ends the process where its status is not 0.

    Args:
        outcome: of the verb.
        is_json: whether it is printed as one JSON object.
    """
    if is_json:
        say(msgspec.json.encode(outcome.record, enc_hook=str).decode())
    elif isinstance(outcome.show, str):
        say(outcome.show)
    else:
        outcome.show()
    if outcome.status:
        sys.stdout.flush()
        sys.exit(outcome.status)


def say(text: str) -> None:
    """Prints to standard output."""
    sys.stdout.write(f"{text}\n")


def wants_json(arguments: Sequence[str] | None) -> bool:
    """Returns whether one JSON object is to be printed.

    Args:
        arguments: command line without the program; None takes that of this process.
    """
    return JSON_FLAG in (sys.argv[1:] if arguments is None else arguments)


@contextmanager
def reported(verb: str, *, is_json: bool = False, resumes: bool = True) -> Iterator[None]:
    """Ends the process with one line where the block raises a `MaasError`, is interrupted, or its reader leaves.

    Any other error is a bug of maas and shows its traceback. With MAAS_TRACEBACK=1 all show what lies below them.

    Args:
        verb: name of the entry.
        is_json: whether standard output is kept for one JSON object, and the log goes to standard error.
        resumes: whether the same command resumes what was interrupted.
    """
    _log_to(sys.stderr if is_json else sys.stdout)
    try:
        yield
        sys.stdout.flush()
    except MaasError as error:
        if shows_chain():
            traceback.print_exception(error)
        sys.stderr.write(f"{error}\n")
        sys.exit(USAGE_STATUS)
    except KeyboardInterrupt:
        again = f" Run the same command again and maas.{verb} resumes where it was." if resumes else ""
        sys.stderr.write(f"\nInterrupted.{again}\n")
        sys.exit(INTERRUPTED_STATUS)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its end
        sys.exit(CLOSED_STATUS)


def _log_to(stream: TextIO) -> None:
    logger = logging.getLogger("maas")
    if not logger.handlers:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
