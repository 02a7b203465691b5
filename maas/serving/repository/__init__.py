"""The models that are served: deployments, what is served at one moment, and how one takes another's place."""

from maas.serving.repository.deployments import Deployment, DeploymentState, Snapshot
from maas.serving.repository.repository import EngineSettings, Repository

__all__ = ["Deployment", "DeploymentState", "EngineSettings", "Repository", "Snapshot"]
