"""Launchers of sweeps that are packages of their own, and what to install where one is missing."""

_PACKAGES = {
    "joblib": ("hydra-joblib-launcher", "In a checkout of maas: pip install '.[sweep]'"),
    "submitit_local": ("hydra-submitit-launcher", "pip install hydra-submitit-launcher"),
    "submitit_slurm": ("hydra-submitit-launcher", "pip install hydra-submitit-launcher"),
}


def missing_launcher(name: str) -> str | None:
    """Returns what to install for a `hydra/launcher` that Hydra does not find; None if no package is known for it."""
    if name not in _PACKAGES:
        return None
    package, command = _PACKAGES[name]
    return f"hydra/launcher={name} needs the package {package}, which is not installed. {command}"
