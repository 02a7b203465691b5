"""What a run has logged of its training, read back for a registered version."""

import msgspec
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from maas.errors import AbsentError
from maas.registry.catalogue.versions import require_there
from maas.registry.connection import brief, connected
from maas.registry.reading.addresses import ADDRESS

OF_EPOCHS = ("train_", "validation_", "learning_rate", "gradient_norm")
"""How names of values begin that are logged each epoch."""


class LoggedTraining(msgspec.Struct, frozen=True):
    """How a registered version was trained.

    Args:
        version: number of the version.
        history: logged values, an entry each epoch; none where its run logged none.
    """

    version: str
    history: tuple[dict[str, float | None], ...]


def logged_training(address: str, tracking_uri: str) -> LoggedTraining:
    """Reads the values that the run of a registered version logged each epoch.

    Args:
        address: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        tracking_uri: address of the store to look in.

    Raises:
        RegistryError: the store cannot be reached, or has no such version or no run of it.
    """
    require_there(address, tracking_uri)
    parts = ADDRESS.fullmatch(address)
    if parts is None:
        return LoggedTraining("", ())
    client = connected(tracking_uri, writing=False)
    try:
        name = parts["name"]
        by_alias = client.get_model_version_by_alias(name, parts["alias"]) if parts["alias"] else None
        found = by_alias or client.get_model_version(name, parts["version"])
        history = _history(client, str(found.run_id)) if found.run_id else ()
    except MlflowException as error:
        raise AbsentError(f"{address} has no run in {tracking_uri}: {brief(error)}.") from error
    return LoggedTraining(str(found.version), history)


def _history(client: MlflowClient, run_id: str) -> tuple[dict[str, float | None], ...]:
    names = [name for name in client.get_run(run_id).data.metrics if name.startswith(OF_EPOCHS)]
    by_epoch: dict[int, dict[str, float | None]] = {}
    for name in names:
        for one in client.get_metric_history(run_id, name):
            by_epoch.setdefault(int(one.step), {})[name] = float(one.value)
    return tuple(by_epoch[epoch] for epoch in sorted(by_epoch))
