"""An inference prepared for requests with one head: for a row of numbers, less is done each time than for any other.

Which operation and which model answer, and all that the head says, is the same for them as long as the same is served.
What is not such a row is left to the service's usual way, which gives the same replies.
"""

from maas.serving.engines import Withdraw
from maas.serving.engines.small_calls import SmallCall
from maas.serving.handing_over import Done
from maas.serving.protocols.operations import AnyOperation, Request, RowReader


class PreparedInference:
    """Answers requests of one row with equal heads.

    Args:
        operation: that answers.
        reader: of the requests' rows.
    """

    __slots__ = ("_deployment", "_read", "operation")

    def __init__(self, operation: AnyOperation, reader: RowReader) -> None:
        self.operation = operation
        self._deployment, self._read = reader

    def begin(self, request: Request, done: Done, callers: int = 2) -> Withdraw | None:
        """Begins a request, if it is a row of numbers that takes little work.

        Args:
            request: read whole.
            done: receives the reply or the fault later, unless the request is withdrawn; or now, where it is alone.
            callers: number of connections: requests of several that arrive in one turn of the loop run together.

        Returns:
            What withdraws the request, or None where the service has to begin it.

        Raises:
            OverloadError: there is no room for it.
        """
        found = self._read(request.body)
        if found is None:
            return None
        (rows, replies), deployment = found, self._deployment
        request.model, request.version = deployment.name, deployment.version
        return deployment.engine.start_small(SmallCall(rows, len(request.body), replies, done, callers == 1))
