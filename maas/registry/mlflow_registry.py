"""The `registry` section of a recipe: runs are tracked and versions are kept in one MLflow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from maas.bounds import NonNegative
from maas.errors import BundleError, RegistryError
from maas.registry.catalogue.publishing import Catalogue
from maas.registry.catalogue.versions import ModelVersion
from maas.registry.connection import registry_errors
from maas.registry.promotion import Comparison, Decision, Promote, decide, without_comparing
from maas.registry.tracking.experiment import TrackedExperiment
from maas.registry.tracking.tracker import Tracker
from maas.runtime.bundle import Bundle

DECISIONS = 4
"""How often a decision is made again at most because others have moved the alias."""

Compare: TypeAlias = Callable[[Bundle, Bundle], Comparison]
"""Lets a new bundle and the one that the alias points at answer the same rows."""


@dataclass(frozen=True)
class MlflowRegistry:
    """Where runs are tracked and versions are kept: a local SQLite file, or any MLflow tracking server.

    Args:
        tracking_uri: `sqlite:///FILE`, or the address of a tracking server.
        artifacts: folder for artifacts, for a local store; a server has its own.
        experiment: name of the experiment that runs belong to.
        alias: name that points at the best version.
        promote: `not_worse` moves the alias only to a version that answers the same test rows at least as well as the
            old one, within `margin`; `always` and `never` do what they say.
        margin: `not_worse` leaves the alias where it is while the new version may be worse by so much, at 95 %: in
            percentage points, hundredths of the metric; of an error in the target's unit, in percent of it.
        parent: id of the MLflow run that new runs belong to, such as a sweep's; null for none.
        report: whether a page on the model is logged with each version (`report/report.html`).
    """

    tracking_uri: str
    artifacts: str = "mlartifacts"
    experiment: str = "maas"
    alias: str = "champion"
    promote: Promote = "not_worse"
    margin: NonNegative = 1.0
    parent: str | None = None
    report: bool = True

    def check(self, run_id: str = "") -> None:
        """Requires that runs and versions can be kept here, before the work that they are about.

        Args:
            run_id: id of the MLflow run to resume; empty for none yet.

        Raises:
            RegistryError: the store cannot be reached or written, or the experiment or the run is in the trash.
        """
        if not run_id or self.resume_run(run_id) is None:
            self._runs.require_writable()

    def start_run(
        self, name: str, tags: Mapping[str, str], parameters: Mapping[str, object], unsent: Path | None = None
    ) -> Tracker:
        """Starts an MLflow run; addresses in its tags and parameters lose their credentials.

        Args:
            name: name of the run.
            tags: lineage.
            parameters: the recipe's values by dotted key.
            unsent: folder for what MLflow does not take later on.

        Raises:
            RegistryError: the store refuses a new run.
        """
        return self._runs.start_run(name, tags, parameters, unsent)

    def resume_run(self, run_id: str, unsent: Path | None = None) -> Tracker | None:
        """Opens an MLflow run again; None where this store does not have it: another store, or a new database.

        Args:
            run_id: id of the run.
            unsent: folder for what MLflow does not take, and for what it did not take before.

        Raises:
            RegistryError: the run is in the trash, or its files cannot be written.
        """
        return self._runs.resume_run(run_id, unsent)

    def register(
        self, bundle: Bundle, tracker: Tracker, metric: str | None, compare: Compare | None = None
    ) -> ModelVersion:
        """Makes a version of a bundle, and points the alias at it if it is not worse.

        Called again for the same bundle and run, it finds the version that is there and continues from it.

        Args:
            bundle: a bundle with evidence.
            tracker: the run that it comes from.
            metric: what versions are compared by; None where their rows have no targets.
            compare: lets two bundles answer the same rows; None where there are none at hand.
        """
        catalogue, name = Catalogue(tracker.client, self.tracking_uri), bundle.manifest.name
        with registry_errors():
            found = catalogue.find(name, tracker.run_id, bundle.digest)
            version, source = found or catalogue.publish(bundle, tracker, metric)
            for _ in range(DECISIONS):
                champion = catalogue.version_at(name, self.alias)
                decision = self._decision(catalogue, bundle, version, champion, metric, compare)
                if not decision.moves or catalogue.version_at(name, self.alias) == champion:
                    break  # else another run has moved the alias while this one's bundle answered
            if decision.moves and champion != version:
                catalogue.point(name, self.alias, version)
        note = f"{self.alias} {'points here' if decision.moves else 'stays where it is'}: {decision.why}"
        return ModelVersion(name, str(version), (self.alias,) * decision.moves, source, note)

    @property
    def _runs(self) -> TrackedExperiment:
        return TrackedExperiment(self.experiment, self.tracking_uri, self.artifacts, self.parent)

    def _decision(
        self,
        catalogue: Catalogue,
        bundle: Bundle,
        version: int,
        champion: int | None,
        metric: str | None,
        compare: Compare | None,
    ) -> Decision:
        """Decides whether the alias points at a version in the end; the old bundle is opened only where it matters."""
        decision = without_comparing(version=version, champion=champion, promote=self.promote, metric=metric)
        if decision is not None or champion is None:
            return decision or Decision(True, "there is no other version to compare with")
        try:
            old = catalogue.bundle(bundle.manifest.name, champion)
            evidence = old.evidence
        except (BundleError, RegistryError):
            old, evidence = bundle, None
        paired = None if compare is None else lambda: compare(bundle, old)
        return decide(bundle.evidence, evidence, paired, version=version, champion=champion, margin=self.margin)
