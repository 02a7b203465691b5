"""Roll-outs for administrators: list them, make or change one, end one.

GET    /v1/rollouts                                                               {"rollouts": [{"name": …}, …]}
PUT    /v1/rollouts/digits-4  {"kind": "canary", "model": "digits", "candidate": "4", "percent": 10}
GET    /v1/rollouts/digits-4                                                      {"name": …, "status": "active", …}
DELETE /v1/rollouts/digits-4
"""

import time
from collections.abc import Mapping, Sequence

import msgspec

from maas.errors import ConfigError, InputError, one_line
from maas.serving.faults import UnreadableError
from maas.serving.protocols.administrator_actions import AdministratorAction
from maas.serving.protocols.bodies import decode, encode
from maas.serving.protocols.operation_documents import Content, OperationDocument
from maas.serving.protocols.operations import AnyOperation, Page, Reply, Request
from maas.serving.protocols.schemas import object_schema
from maas.serving.repository import Repository, Snapshot
from maas.serving.rollout import edits
from maas.serving.rollout.records import Bounds, Canary, ReturnFigures, Rollout, RolloutDescription, RolloutName
from maas.serving.rollout.rollouts import Rollouts, require_servable
from maas.serving.rollout.state import Edit

PATH = "/v1/rollouts/{name}"
CANARY_EXAMPLE = Canary(
    model="digits", candidate="4", percent=10, bounds=Bounds(max_error_fraction=0.02, max_latency_ratio=2)
)
DESCRIPTION_EXAMPLE = RolloutDescription(
    name="digits-4",
    status="active",
    since_s=1.75e9,
    reason="",
    rollout=CANARY_EXAMPLE,
    versions={"stable": "3", "candidate": "4"},
    missing=(),
    figures=ReturnFigures(requests=120, latency_ms=3.1, stable_requests=1000, stable_latency_ms=2.9),
)
_DECODER: "msgspec.json.Decoder[Rollout]" = msgspec.json.Decoder(Rollout)


def rollout_operations(rollouts: Rollouts, repository: Repository) -> Sequence[AnyOperation]:
    """Returns the operations of an administrator."""
    return [
        RolloutsPage(rollouts),
        RolloutPage(rollouts),
        PutRollout(rollouts, repository),
        DeleteRollout(rollouts, repository),
    ]


class RolloutsPage(Page):
    """All roll-outs.

    Args:
        rollouts: of the server.
    """

    protocol = "rollouts"
    path = "/v1/rollouts"
    summary = "Lists roll-outs."

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns an object for each."""
        return Reply(
            encode({"rollouts": [described(name, self._rollouts, snapshot) for name in self._rollouts.state.rollouts]})
        )

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns an example."""
        schema = {"type": "array", "items": schema_of(RolloutDescription)}
        return OperationDocument(Content(object_schema(rollouts=schema), {"rollouts": [DESCRIPTION_EXAMPLE]}))


class RolloutPage(Page):
    """One roll-out.

    Args:
        rollouts: of the server.
    """

    protocol = "rollouts"
    path = PATH
    summary = "Describes a roll-out."

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts

    def reply(self, request: Request, snapshot: Snapshot) -> Reply:
        """Returns its object."""
        return Reply(encode(described(request.values["name"], self._rollouts, snapshot)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns an example."""
        return OperationDocument(_DESCRIPTION, values=(("name", "digits-4"),))


class RolloutAction(AdministratorAction):
    """What an administrator may do with a roll-out.

    Args:
        rollouts: of the server.
        repository: of the models.
    """

    protocol = "rollouts"
    path = PATH

    def __init__(self, rollouts: Rollouts, repository: Repository) -> None:
        self._rollouts, self._repository = rollouts, repository

    async def _change(self, edit: Edit) -> None:
        """Changes roll-outs.

        Raises:
            InputError: it is refused, or cannot be kept; nothing has changed.
        """
        try:
            await self._rollouts.change(edit)
        except ConfigError as error:
            raise InputError(f"{error} Nothing has changed.") from error


class PutRollout(RolloutAction):
    """Makes a roll-out, or another one of it, which is active."""

    method = "PUT"
    summary = "Makes or changes a roll-out; one that was returned is active again."

    async def _performed(self, request: Request) -> Reply:
        name, rollout = rollout_name(request), rollout_in(request)
        require_servable(rollout, self._repository.snapshot)
        await self._change(edits.put(name, rollout, time.time()))
        return Reply(encode(described(name, self._rollouts, self._repository.snapshot)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns the schema of a roll-out and an example."""
        return OperationDocument(
            _DESCRIPTION,
            Content(schema_of(Rollout), CANARY_EXAMPLE),
            (("name", "digits-4"),),
        )


class DeleteRollout(RolloutAction):
    """Ends a roll-out: the stable version answers."""

    method = "DELETE"
    summary = "Ends a roll-out."

    async def _performed(self, request: Request) -> Reply:
        await self._change(edits.delete(request.values["name"], time.time()))
        return Reply(b"{}")

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns that the reply is empty."""
        return OperationDocument(Content({"type": "object"}, {}), values=(("name", "digits-4"),))


def described(name: str, rollouts: Rollouts, snapshot: Snapshot) -> RolloutDescription:
    """Returns a roll-out as administrators read it.

    Raises:
        UnknownRolloutError: there is none of that name.
    """
    record = edits.kept_record(name, rollouts.state)
    arms = next((one for one in rollouts.applied_to(snapshot).arms if one.name == name), None)
    check = rollouts.check_of(name)
    return RolloutDescription(
        name=name,
        status=record.status,
        since_s=record.since_s,
        reason=record.reason,
        rollout=record.rollout,
        versions={} if arms is None else {role: one.version for role, one in arms.versions.by_role.items()},
        missing=() if arms is None else arms.versions.missing,
        figures=record.figures if check is None else check.figures,
    )


def rollout_name(request: Request) -> str:
    """Returns the name of a roll-out that a path has.

    Raises:
        InputError: it is none.
    """
    try:
        return msgspec.convert(request.values["name"], RolloutName)
    except msgspec.ValidationError as error:
        raise InputError(
            f"The name of the roll-out is not one: {one_line(error)}. Use letters, digits, dots, _ and -."
        ) from None


def rollout_in(request: Request) -> Rollout:
    """Returns the roll-out that a body holds.

    Raises:
        UnreadableError: it holds none.
    """
    try:
        return decode(_DECODER, request.body)
    except UnreadableError as error:
        raise UnreadableError(f"{error} like {encode(CANARY_EXAMPLE).decode()}") from None


def schema_of(kind: object) -> dict[str, object]:
    """Returns the JSON Schema of a type, whole in itself."""
    schema = msgspec.json.schema(kind)
    inlined = _inlined({name: one for name, one in schema.items() if name != "$defs"}, schema["$defs"])
    return inlined if isinstance(inlined, dict) else {}


def _inlined(schema: object, definitions: Mapping[str, object]) -> object:
    """Returns a schema with definitions in the place of references."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(one, definitions) for name, one in schema.items() if name != "discriminator"}


_DESCRIPTION = Content(schema_of(RolloutDescription), DESCRIPTION_EXAMPLE)
