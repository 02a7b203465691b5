"""The versions of one store, as registering needs them: found, made whole, pointed at by aliases."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from maas.errors import RegistryError
from maas.registry.catalogue.downloads import fetched, location_of
from maas.registry.connection import TAKEN, brief
from maas.registry.reading.addresses import ABSENT, MODELS
from maas.registry.tracking.tracker import Tracker
from maas.runtime.bundle import Bundle

BUNDLE_TAG, METRIC_TAG = "maas.manifest_sha256", "maas.metric"


class Published(NamedTuple):
    """A version's number, and where its bundle lies."""

    version: int
    source: str


@dataclass(frozen=True)
class Catalogue:
    """The versions of one store.

    Args:
        client: connected.
        tracking_uri: address of the store.
    """

    client: MlflowClient
    tracking_uri: str

    def find(self, name: str, run_id: str, digest: str) -> Published | None:
        """Returns the version that a run made of a bundle, by the bundle's digest; None where there is none."""
        for one in self.client.search_model_versions(f"name = '{name}'"):
            if one.run_id == run_id and one.tags.get(BUNDLE_TAG) == digest:
                return Published(int(one.version), str(one.source))
        return None

    def publish(self, bundle: Bundle, tracker: Tracker, metric: str | None) -> Published:
        """Makes a version, the upload of its bundle first: a version that exists is whole.

        Args:
            bundle: a bundle with evidence.
            tracker: the run that it comes from.
            metric: name of the metric that its tag shows; None for none.

        Raises:
            RegistryError: MLflow does not take the files.
        """
        tracker.upload(bundle.folder, "bundle")
        name = bundle.manifest.name
        measured = {METRIC_TAG: f"{metric}={bundle.evidence.metrics['shipped'][metric].value!r}"} if metric else {}
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != TAKEN:
                raise
        made = self.client.create_model_version(
            name,
            source=f"{self.client.get_run(tracker.run_id).info.artifact_uri}/bundle",
            run_id=tracker.run_id,
            tags={BUNDLE_TAG: bundle.digest, **measured},
        )
        return Published(int(made.version), str(made.source))

    def version_at(self, name: str, alias: str) -> int | None:
        """Returns the number of the version that an alias points at; None where it points at none."""
        try:
            return int(self.client.get_model_version_by_alias(name, alias).version)
        except MlflowException as error:
            if error.error_code in ABSENT:
                return None
            raise

    def point(self, name: str, alias: str, version: int) -> None:
        """Points an alias at a version."""
        self.client.set_registered_model_alias(name, alias, str(version))

    def bundle(self, name: str, version: int) -> Bundle:
        """Opens the bundle of a version.

        Raises:
            RegistryError: its files cannot be had.
            BundleError: they are no whole bundle.
        """
        try:
            location = location_of(self.client, f"{MODELS}{name}/{version}")
        except MlflowException as error:
            raise RegistryError(f"{MODELS}{name}/{version} cannot be found: {brief(error)}.") from error
        folder: Path = fetched(location, self.tracking_uri)
        return Bundle.open(folder)
