"""The process that reads a tracking server for several others: `python -m maas.registry.reading.rest_replying`.

It is as `replying.py`, but reads by the REST interface, and needs no mlflow.
"""

import os
from functools import lru_cache

from maas.registry.reading.questions import PlaceQuestion, Question, RegistryReply, VersionQuestion
from maas.registry.reading.replying import reply_for_parent
from maas.registry.reading.rest import RestRegistry


@lru_cache
def registry_at(tracking_uri: str) -> RestRegistry:
    """Returns what reads a tracking server, the same each time.

    Args:
        tracking_uri: `http://…` or `https://…`.
    """
    return RestRegistry(tracking_uri, os.environ)


def reply_by_rest(question: Question) -> RegistryReply:
    """Returns the reply to a question.

    Args:
        question: with the address of the tracking server.

    Raises:
        AbsentError: what is wanted is not there.
        RegistryError: the server does not answer as MLflow does.
    """
    registry = registry_at(question.tracking_uri)
    if isinstance(question, VersionQuestion):
        return RegistryReply(version=registry.version_at(question.name, question.alias))
    if isinstance(question, PlaceQuestion):
        return RegistryReply(model=registry.locate(question.address))
    return RegistryReply(names=registry.names_with(question.alias))


if __name__ == "__main__":
    reply_for_parent(reply_by_rest)
