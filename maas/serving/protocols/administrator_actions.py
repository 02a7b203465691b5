"""Actions of administrators: which web pages may not want."""

from abc import abstractmethod

from maas.errors import InputError
from maas.serving.protocols.operations import Action, Reply, Request


class AdministratorAction(Action):
    """What an administrator may do, at a port of its own; a browser on this machine reaches that port as well."""

    async def perform(self, request: Request) -> Reply:
        """Does it, unless a web page wants it.

        Raises:
            InputError: a web page wants it, or it cannot be done.
        """
        if b"origin" in request.metadata:
            raise InputError("The request has an Origin: models are administered by no web page. Send it without.")
        return await self._performed(request)

    @abstractmethod
    async def _performed(self, request: Request) -> Reply:
        """Does it.

        Raises:
            InputError: it cannot be done.
        """
