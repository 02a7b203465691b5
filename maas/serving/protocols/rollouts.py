"""Roll-outs for administrators: list them, make or change one, end one.

GET    /v1/rollouts                                                               {"rollouts": [{"name": …}, …]}
PUT    /v1/rollouts/digits-4  {"kind": "canary", "model": "digits", "candidate": "4", "percent": 10}
GET    /v1/rollouts/digits-4                                                      {"name": …, "status": "active", …}
DELETE /v1/rollouts/digits-4
"""

import time
from collections.abc import Mapping, Sequence

import msgspec

from maas.errors import InputError, one_line
from maas.serving.faults import UnreadableError
from maas.serving.protocols.bodies import decode, encode
from maas.serving.protocols.operations import (
    AdministratorAction,
    AnyOperation,
    Content,
    JsonSchema,
    OperationDocument,
    Page,
    Reply,
    Request,
)
from maas.serving.protocols.schemas import object_schema, schema_like
from maas.serving.repository import Repository, Snapshot
from maas.serving.rollout import edits
from maas.serving.rollout.records import Rollout, RolloutName
from maas.serving.rollout.rollouts import Rollouts, require_servable

PATH = "/v1/rollouts/{name}"
CANARY_EXAMPLE = {
    "kind": "canary",
    "model": "digits",
    "candidate": "4",
    "percent": 10.0,
    "key": "maas-user",
    "bounds": {"max_error_fraction": 0.02, "max_latency_ratio": 2.0, "percentile": 95.0, "min_requests": 200},
}
DESCRIBED_ROLLOUT = {
    "name": "digits-4",
    "status": "active",
    "since_s": 1.7e9,
    "reason": "",
    "rollout": CANARY_EXAMPLE,
    "versions": {"stable": "3", "candidate": "4"},
    "missing": [],
    "figures": {
        "requests": 120, "errors": 0, "latency_ms": 3.1, "stable_requests": 1000, "stable_latency_ms": 2.9,
    },
}  # fmt: skip
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
            encode({"rollouts": [shown(name, self._rollouts, snapshot) for name in self._rollouts.state.rollouts]})
        )

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns an example."""
        schema = {"type": "array", "items": schema_like(DESCRIBED_ROLLOUT)}
        return OperationDocument(Content(object_schema(rollouts=schema), {"rollouts": [DESCRIBED_ROLLOUT]}))


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
        return Reply(encode(shown(request.values["name"], self._rollouts, snapshot)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns an example."""
        return OperationDocument(
            Content(schema_like(DESCRIBED_ROLLOUT), DESCRIBED_ROLLOUT), values=(("name", "digits-4"),)
        )


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


class PutRollout(RolloutAction):
    """Makes a roll-out, or another one of it, which is active."""

    method = "PUT"
    summary = "Makes or changes a roll-out; one that was returned is active again."

    async def _performed(self, request: Request) -> Reply:
        name, rollout = rollout_name(request), rollout_in(request)
        require_servable(rollout, self._repository.snapshot)
        await self._rollouts.change(edits.put(name, rollout, time.time()))
        return Reply(encode(shown(name, self._rollouts, self._repository.snapshot)))

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns the schema of a roll-out and an example."""
        return OperationDocument(
            Content(schema_like(DESCRIBED_ROLLOUT), DESCRIBED_ROLLOUT),
            Content(rollout_schema(), CANARY_EXAMPLE),
            (("name", "digits-4"),),
        )


class DeleteRollout(RolloutAction):
    """Ends a roll-out: the stable version answers."""

    method = "DELETE"
    summary = "Ends a roll-out."

    async def _performed(self, request: Request) -> Reply:
        await self._rollouts.change(edits.delete(request.values["name"], time.time()))
        return Reply(b"{}")

    def document(self, snapshot: Snapshot) -> OperationDocument:
        """Returns that the reply is empty."""
        return OperationDocument(Content({"type": "object"}, {}), values=(("name", "digits-4"),))


def shown(name: str, rollouts: Rollouts, snapshot: Snapshot) -> dict[str, object]:
    """Returns a roll-out as an administrator reads it.

    Raises:
        UnknownRolloutError: there is none of that name.
    """
    record = edits.kept_record(name, rollouts.state)
    arms = next((one for one in rollouts.applied_to(snapshot).arms if one.name == name), None)
    check = rollouts.check_of(name)
    return {
        "name": name,
        "status": record.status,
        "since_s": record.since_s,
        "reason": record.reason,
        "rollout": record.rollout,
        "versions": {} if arms is None else {role: one.version for role, one in arms.versions.by_role.items()},
        "missing": [] if arms is None else arms.versions.missing,
        "figures": record.figures if check is None else check.figures,
    }


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


def rollout_schema() -> JsonSchema:
    """Returns the JSON Schema of a roll-out, whole in itself."""
    schema = msgspec.json.schema(Rollout)
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
