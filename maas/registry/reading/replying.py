"""The process that reads a registry for another: `python -m maas.registry.reading.replying`.

It gets questions on its standard input and writes replies on its standard output, a line of JSON each, until its input
ends. It changes nothing in the registry.
"""

import sys
from collections.abc import Callable
from typing import BinaryIO, TypeAlias

import msgspec

from maas.child_processes import work_aside
from maas.errors import AbsentError, MaasError, RegistryError
from maas.registry.reading.questions import PlaceQuestion, Question, RegistryReply, VersionQuestion

ReplyTo: TypeAlias = Callable[[Question], RegistryReply]


def main() -> None:
    """Replies until the input ends."""
    reply_for_parent(_reply)


def reply_for_parent(reply: ReplyTo) -> None:
    """Replies to the process that started this one, until it ends.

    Args:
        reply: returns the reply to a question.
    """
    output = work_aside()
    reply_to_all(sys.stdin.buffer, output, reply)


def reply_to_all(source: BinaryIO, output: BinaryIO, reply: ReplyTo) -> None:
    """Replies to each question of a source until it ends."""
    decoder = msgspec.json.Decoder(Question)
    for line in source:
        question = decoder.decode(line)
        try:
            found = reply(question)
        except MaasError as error:
            found = RegistryReply(fault=str(error), is_absent=isinstance(error, AbsentError))
        output.write(msgspec.json.encode(found) + b"\n")
        output.flush()


def _reply(question: Question) -> RegistryReply:
    """Looks in the registry through MLflow.

    Raises:
        AbsentError: what is wanted is not there.
        RegistryError: mlflow is not installed, or the registry cannot be read.
    """
    try:
        from maas.registry.catalogue import looking_up  # noqa: PLC0415 - mlflow takes seconds, and may be missing
    except ModuleNotFoundError as error:
        raise RegistryError(
            f"The registry {question.tracking_uri} needs mlflow, which is not installed. Install maas with it: pip "
            "install '.[registry]'"
        ) from error
    if isinstance(question, VersionQuestion):
        return RegistryReply(version=looking_up.version_at(question.tracking_uri, question.name, question.alias))
    if isinstance(question, PlaceQuestion):
        return RegistryReply(model=looking_up.bundle_at(question.address, question.tracking_uri))
    return RegistryReply(names=looking_up.names_with(question.tracking_uri, question.alias))


if __name__ == "__main__":
    main()
