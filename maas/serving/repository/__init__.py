"""The models that are served: deployments, what is served at one moment, and how one takes another's place."""

from maas.serving.repository.deployments import Deployment, DeploymentState, GeneratingDeployment, PredictingDeployment
from maas.serving.repository.repository import Repository
from maas.serving.repository.slots import EngineSettings
from maas.serving.repository.snapshots import Snapshot, VersionLabel

__all__ = [
    "Deployment",
    "DeploymentState",
    "EngineSettings",
    "GeneratingDeployment",
    "PredictingDeployment",
    "Repository",
    "Snapshot",
    "VersionLabel",
]
