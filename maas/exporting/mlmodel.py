"""The files that make a bundle an MLflow model, and name what opens it."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from maas.exporting.shipping import ARCHIVE, LOADER

RUNTIME_PACKAGES = ("msgspec", "numpy", "onnxruntime", "pillow", "soundfile", "soxr", "tokenizers")
MLFLOW = "mlflow>=3.4"
"""What opens the folder as a model, where none is installed here to name its version."""


def write_mlmodel(
    folder: Path,
    name: str,
    signature: dict[str, Any] | None,
    schema_version: int,
    packages: Sequence[str] = RUNTIME_PACKAGES,
) -> None:
    """Makes a folder an MLflow model: MLflow's python-function flavour over `maas.runtime.pyfunc`.

    Args:
        folder: folder of the bundle.
        name: name of the model.
        signature: MLflow's schemas as texts; None for none.
        schema_version: version of the manifest.
        packages: what an environment needs that opens it, beside MLflow.
    """
    requirements = [*(f"{package}=={version(package)}" for package in packages), _mlflow()]
    python = platform.python_version()
    dependencies = [f"python={python}", "pip", {"pip": requirements}]
    mlmodel = {
        "flavors": {
            "python_function": {
                "loader_module": LOADER,
                "code": ARCHIVE,
                "python_version": python,
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            },
        },
        "metadata": {"maas_bundle": name, "maas_schema_version": schema_version},
    }
    if signature is not None:
        mlmodel["signature"] = signature
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n")
    _write_yaml(folder / "conda.yaml", {"channels": ["conda-forge"], "dependencies": dependencies, "name": "maas"})
    _write_yaml(folder / "python_env.yaml", {"python": python, "dependencies": ["-r requirements.txt"]})
    _write_yaml(folder / "MLmodel", mlmodel)


def _mlflow() -> str:
    """Returns the requirement of what opens the folder as a model: the version that is here, as MLflow itself would."""
    try:
        return f"mlflow=={version('mlflow')}"
    except PackageNotFoundError:
        return MLFLOW


def _write_yaml(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=True, allow_unicode=True), encoding="utf-8")
