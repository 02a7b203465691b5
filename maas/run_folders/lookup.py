"""Which run to start or resume, and which one later stages continue with."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from maas.errors import ConfigError
from maas.run_folders.folder import RunFolder

log = logging.getLogger("maas")
_NAME = re.compile(r"(?P<time>\d{8}-\d{6})(-(?P<attempt>\d{1,3}))?")
"""Name of a run's folder; what was copied or renamed by hand has another."""


@contextmanager
def claimed(
    root: Path,
    name: str,
    key: str,
    training: str,
    *,
    may_resume: bool,
    sources: dict[str, str] | None = None,
) -> Iterator[RunFolder]:
    """Yields the newest run of the same work, finished or not, or a new one; nobody else is at work in it.

    A run that another user made, and that cannot be written, is passed over.

    Args:
        root: the recipe's `runs_dir`.
        name: the model's name.
        key: digest of recipe, rows and code.
        training: digest of what bears on training alone.
        may_resume: whether a run that is there may be taken.
        sources: digests of the user's own files that a new run is made by, by module.

    Raises:
        ConfigError: no run can be started there.
    """
    for folder in runs_of(root, name) if may_resume else []:
        if folder.state.key == key:
            if not folder.is_writable:
                log.warning("%s cannot be written and is passed over", folder.path)
                continue
            with folder.try_lock() as is_ours:
                if is_ours:
                    yield folder
                    return
    folder = _new(root, name)
    with folder.locked():
        own = sources or {}
        folder.remember(key=key, training=training, sources=own)  # only now can others mistake it for a run to resume
        yield folder


def _new(root: Path, name: str) -> RunFolder:
    stem = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        path = root / name / (f"{stem}-{attempt}" if attempt else stem)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except OSError as error:
            if isinstance(error, FileExistsError) and path.parent.is_dir():
                continue
            raise ConfigError(
                f"No run can be started in {path.parent}: {error.strerror}. Set runs_dir=FOLDER to one that can be "
                "written."
            ) from error
        return RunFolder(path)
    raise ConfigError(f"{root / name} holds a thousand runs of this second; wait a second.")


def runs_of(root: Path, name: str) -> list[RunFolder]:
    """Returns a model's runs, the newest first.

    What looks like a run and is none (a copy, a file, a state that cannot be read or is of a newer maas) is passed over
    with a warning.
    """
    found = []
    for path in sorted((root / name).glob("[0-9]*")):
        fault = _fault(path)
        if fault is None:
            found.append(RunFolder(path))
        elif fault:
            log.warning("%s is passed over: %s", path, fault)
    return sorted(found, key=lambda folder: _age(folder.path), reverse=True)


def _fault(path: Path) -> str | None:
    """Returns why what lies among runs is none of them: None for a run, empty for what does not look like one."""
    name = _NAME.match(path.name)
    if name is None:
        return ""
    if name.group() != path.name:
        return "a run's name is the time of its start; this is a copy, or was renamed"
    try:
        if not path.is_dir():
            return "it is no folder"
        _ = RunFolder(path).state
    except OSError as error:
        return error.strerror or type(error).__name__
    except ConfigError as error:
        return str(error)
    return None


def newest_with(
    root: Path, name: str, training: str, *, artifact: str, stage: str, sources: dict[str, str] | None = None
) -> RunFolder:
    """Returns the newest run of the same training that has an artifact; a warning says what code was edited since.

    Args:
        root: the recipe's `runs_dir`.
        name: the model's name.
        training: digest of what bears on training alone.
        artifact: name of the property of `RunFolder` that must be there.
        stage: name of the stage that makes it.
        sources: digests of the user's own files as they are now, by module; None compares nothing.

    Raises:
        ConfigError: there is none.
    """
    for folder in runs_of(root, name):
        state = folder.state
        if state.training == training and getattr(folder, artifact).is_dir():
            now = sources if sources is not None and state.sources else state.sources
            edited = [one for one in sorted({*now, *state.sources}) if now.get(one) != state.sources.get(one)]
            if edited:
                log.warning("%s was trained by other code: %s changed since", folder.path, ", ".join(edited))
            return folder
    raise ConfigError(
        f"{root / name} holds no run of these settings with a {artifact}. Run python -m maas.{stage} recipe={name} "
        "first, with the same overrides."
    )


def _age(path: Path) -> tuple[str, int]:
    found = _NAME.fullmatch(path.name)
    return (found["time"], int(found["attempt"] or 0)) if found else ("", 0)
