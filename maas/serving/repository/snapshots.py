"""What is served at one moment: deployments by their names, versions, labels and tasks."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

from maas.errors import InputError, shortened_value
from maas.records.signature import Signature
from maas.serving.faults import UnknownModelError
from maas.serving.repository.deployments import Deployment, GeneratingDeployment, PredictingDeployment

OneKind = TypeVar("OneKind", bound=Deployment)


class VersionLabel(NamedTuple):
    """A name for a version of a model, such as an alias of the registry.

    Args:
        model: name of the model.
        label: name of the version.
        version: the version.
    """

    model: str
    label: str
    version: str


@dataclass(frozen=True)
class Snapshot:
    """What is served at one moment; it never changes.

    Args:
        predicting: those that predict: of each model the version first that answers where none is named, and that
            of the model first that answers where no model is named.
        labels: names of versions.
        generating: those that generate texts, in the same order.
    """

    predicting: tuple[PredictingDeployment, ...] = ()
    labels: tuple[VersionLabel, ...] = ()
    generating: tuple[GeneratingDeployment, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names, versions, bundles and labels."""
        parts = [f"{one.name}\0{one.version}\0{one.bundle.digest}" for one in self.deployments]
        parts += ["\0".join(label) for label in sorted(self.labels)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """Whatever is served."""
        return (*self.predicting, *self.generating)

    @cached_property
    def by_name(self) -> dict[str, PredictingDeployment]:
        """The version of each model that answers where none is named."""
        return {one.name: one for one in reversed(self.predicting)}

    @cached_property
    def by_task(self) -> dict[str, PredictingDeployment]:
        """The first deployment of each task."""
        return {one.task: one for one in reversed(self.predicting)}

    @property
    def first(self) -> PredictingDeployment:
        """The deployment that answers where a call names none.

        Raises:
            UnknownModelError: nothing is served.
        """
        if not self.predicting:
            raise UnknownModelError("No model is served here yet. Try again once one is loaded.")
        return self.predicting[0]

    @property
    def default(self) -> Deployment:
        """What answers where nothing is named: the first deployment that predicts, or that generates.

        Raises:
            UnknownModelError: nothing is served.
        """
        return self.first if self.predicting or not self.generating else self.generating[0]

    @property
    def listed(self) -> tuple[PredictingDeployment, ...]:
        """Every version of every model, each once, for those who list them."""
        return self.predicting

    @property
    def kinds(self) -> tuple[PredictingDeployment, ...]:
        """The first deployment of each task and signature: requests and replies of the others look the same."""
        seen: dict[tuple[str, Signature], PredictingDeployment] = {}
        for one in self.predicting:
            seen.setdefault((one.task, one.signature), one)
        return tuple(seen.values())

    def led_by(self, deployment: Deployment) -> "Snapshot":
        """Returns a snapshot where one of the deployments is the first, for what describes the first."""
        predicting = sorted(self.predicting, key=lambda one: one is not deployment)
        return Snapshot(
            tuple(predicting), self.labels, tuple(sorted(self.generating, key=lambda one: one is not deployment))
        )

    def for_task(self, task: str) -> PredictingDeployment:
        """Returns the first deployment of a task.

        Raises:
            UnknownModelError: none is served any more.
        """
        found = self.by_task.get(task)
        if found is None:
            raise UnknownModelError(f"No model for {task} is served here any more.")
        return found

    def versions(self, name: str) -> tuple[PredictingDeployment, ...]:
        """Returns the versions of a model, the one first that answers where none is named."""
        return tuple(one for one in self.predicting if one.name == name)

    def version_of(self, name: str, version: str) -> PredictingDeployment | None:
        """Returns a version of a model that predicts, if it is served."""
        return self._versions.get((name, version))

    def generating_version_of(self, name: str, version: str) -> GeneratingDeployment | None:
        """Returns a version of a model that generates, if it is served."""
        return self._generating_versions.get((name, version))

    def labels_of(self, deployment: Deployment) -> tuple[str, ...]:
        """Returns the labels of a version."""
        return tuple(one.label for one in self.labels if one[::2] == (deployment.name, deployment.version))

    def shown_version(self, deployment: Deployment) -> str:
        """Returns a version with its labels, for people."""
        labels = ", ".join(self.labels_of(deployment))
        return f"{deployment.version} ({labels})" if labels else deployment.version

    def find(self, name: str, version: str | None = None) -> PredictingDeployment:
        """Returns a deployment by its name and, if one is wanted, its version or a label of that.

        Raises:
            UnknownModelError: it is not served; the message names what is.
            InputError: it generates texts.
        """
        found = self.by_name.get(name) if version is None else self._versions.get((name, version))
        if found is not None:
            return found
        if name not in self.by_name:
            if any(one.name == name for one in self.generating):
                raise InputError(
                    f"Model {name!r} generates texts and does not predict; send it to /v1/chat/completions or "
                    "/v1/completions."
                )
            served = ", ".join(sorted({one.name for one in self.deployments})) or "none"
            raise UnknownModelError(f"No model {shortened_value(name)} is served here; there is {served}.")
        raise self._unknown_version(name, version or "")

    def find_any(self, name: str, version: str | None = None) -> Deployment:
        """Returns what a name and a version stand for, whatever it does.

        Raises:
            UnknownModelError: it is not served; the message names what is.
            InputError: the version is empty.
        """
        if version == "":
            raise InputError(f"version is empty. Leave it out, or name a version of {shortened_value(name)}.")
        if name not in self.by_name and any(one.name == name for one in self.generating):
            return self.find_generating(name, version)
        return self.find(name, version)

    def find_generating(self, name: str | None, version: str | None = None) -> GeneratingDeployment:
        """Returns a deployment that generates: that of a name and a version or label of it, or the first one.

        Raises:
            UnknownModelError: it is not served; the message names what is.
            InputError: it does not generate.
        """
        first = next((one for one in self.generating if name in (None, one.name)), None)
        if first is not None:
            found = first if version is None else self._generating_versions.get((first.name, version))
            if found is None:
                raise self._unknown_version(first.name, version or "")
            return found
        names = ", ".join(dict.fromkeys(one.name for one in self.generating)) or "none is served here"
        if name is None or name in self.by_name:
            shown = "The first model" if name is None else f"Model {name!r}"
            raise InputError(f"{shown} does not generate texts; name one that does: {names}.")
        served = ", ".join(sorted({one.name for one in self.deployments})) or "none"
        raise UnknownModelError(f"No model {shortened_value(name)} is served here; there is {served}.")

    @cached_property
    def _versions(self) -> dict[tuple[str, str], PredictingDeployment]:
        return _by_version(self.predicting, self.labels)

    @cached_property
    def _generating_versions(self) -> dict[tuple[str, str], GeneratingDeployment]:
        return _by_version(self.generating, self.labels)

    def _unknown_version(self, name: str, version: str) -> UnknownModelError:
        generating = [one for one in self.generating if one.name == name]
        shown = list(map(self.shown_version, [*self.versions(name), *generating]))
        served = f"version {shown[0]}" if len(shown) == 1 else f"versions {', '.join(shown[:-1])} and {shown[-1]}"
        return UnknownModelError(f"Model {name!r} is served in {served}, not {shortened_value(version, '')}.")


def _by_version(deployments: Sequence[OneKind], labels: Sequence[VersionLabel]) -> dict[tuple[str, str], OneKind]:
    """Returns versions by the name of their model, and by their number or a label."""
    numbers = {(one.name, one.version): one for one in deployments}
    named = {(one.model, one.label): (one.model, one.version) for one in labels}
    return {label: numbers[version] for label, version in named.items() if version in numbers} | numbers
