"""Finding every fault of a composed recipe before any work is done, each as one line that says what to do."""

import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec

from maas.bounds import words_of_hint
from maas.config.part import Part, is_part, target_of
from maas.config.schema import FILLED, METRICS, REQUIRED, SECTIONS, THRESHOLD_TASKS, RunConfig
from maas.errors import ConfigError
from maas.scoring.names import metric_fault
from maas.scoring.thresholds import rule_of
from maas.suggesting import nearest_of


def check(config: RunConfig) -> None:
    """Binds every part of a recipe to its signature.

    Raises:
        ConfigError: all faults, a line each.
    """
    faults = list(faults_of(config))
    if faults:
        raise ConfigError("\n".join(faults))


def faults_of(config: RunConfig) -> Iterator[str]:
    """Yields what is wrong with a composed recipe: one line a fault, with what is required and what to do."""
    if config.resume not in ("auto", "never"):
        yield f"resume is {config.resume!r}; it must be auto or never. Set e.g. resume=auto."
    if not isinstance(config.seed, int) or not 0 <= config.seed < 2**32:
        yield f"seed is {config.seed!r}; it must be a whole number from 0 to 4294967295. Set e.g. seed=1."
    yield from _faults_of_task(config)
    yield from _faults_of_freeze(config.freeze)
    if config.standardize_target and config.task != "regression":
        yield f"standardize_target is true; task {config.task} learns no number. Set standardize_target=null."
    if not isinstance(config.batch_size, int) or config.batch_size < 1:
        yield f"batch_size is {config.batch_size!r}; it must be a whole number, 1 or more. Set e.g. batch_size=64."
    if not isinstance(config.workers, int) or config.workers < 0:
        yield f"workers is {config.workers!r}; it must be a whole number, 0 or more. Set e.g. workers=2."
    strategy = config.trainer.get("strategy", "auto") if isinstance(config.trainer, Part) else "auto"
    if config.folds and strategy != "auto":
        yield f"folds is {config.folds} and trainer.strategy is {strategy}; one process trains folds. Set trainer=cpu."
    if not config.name or not all(character.isalnum() or character in "-_" for character in config.name):
        yield f"name is {config.name!r}; it must be letters, digits, - and _. Set e.g. name=my_model."
    for section in fields(RunConfig):
        value = getattr(config, section.name)
        may_be_null = section.name not in REQUIRED
        if section.name in SECTIONS and not (is_part(value) or (value is None and may_be_null)):
            advice = f" A part by its name is an override: {section.name}={value}." if isinstance(value, str) else ""
            yield f"{section.name} is {value!r}; it must be a part, a mapping with a _target_.{advice}"
        yield from faults_in(value, section.name)


def _faults_of_freeze(patterns: object) -> Iterator[str]:
    if not isinstance(patterns, list | tuple) or not all(isinstance(one, str) for one in patterns):
        yield f"freeze is {patterns!r}; it must be a list of patterns. Set e.g. freeze=[net.layer1]."


def _faults_of_task(config: RunConfig) -> Iterator[str]:
    known = METRICS.get(config.task)
    if known is None:
        yield f"task is {config.task!r}; it must be one of {', '.join(METRICS)}. Set e.g. task={next(iter(METRICS))}."
    elif not known and config.metric is not None:
        yield f"metric is {config.metric!r}; task {config.task} has none. Set metric=null."
    elif known and (fault := metric_fault(config.metric, known)):
        yield fault
    yield from _faults_of_threshold(config)
    if not isinstance(config.folds, int) or config.folds < 0 or config.folds == 1:
        yield f"folds is {config.folds!r}; it must be 2 or more, or 0 for no cross-validation. Set e.g. folds=5."
    elif config.folds and known == ():
        yield f"folds is {config.folds}; task {config.task} has no targets to evaluate held-out rows with. Set folds=0."
    if config.trainer is not None:
        for section in ("objective", "optimizer", "schedule"):
            if getattr(config, section) is None:
                yield f"{section} is null, and the recipe trains. Set {section}=NAME, or trainer=null to train nothing."
        if known == ():
            yield f"task {config.task} learns nothing, and the recipe has a trainer. Set trainer=null."


def _faults_of_threshold(config: RunConfig) -> Iterator[str]:
    if config.threshold is None:
        return
    if config.task not in THRESHOLD_TASKS:
        yield f"threshold is {config.threshold!r}; task {config.task} has no labels to predict. Set threshold=null."
        return
    try:
        rule_of(config.threshold)
    except ConfigError as error:
        yield str(error)
    if config.folds:
        yield f"threshold is {config.threshold!r} and folds is {config.folds}; folds choose no threshold. Set folds=0."


def faults_in(node: object, path: str) -> Iterator[str]:
    """Walks a section; every part in it is bound."""
    children: Iterator[tuple[str, object]] = iter(())
    if isinstance(node, Mapping):
        if isinstance(node, Part):
            yield from _faults_of_part(node, path)
        children = ((f"{path}.{key}", value) for key, value in node.items())
    elif isinstance(node, list):
        children = ((f"{path}[{index}]", value) for index, value in enumerate(node))
    for child_path, child in children:
        yield from faults_in(child, child_path)


def _faults_of_part(part: Part[object], path: str) -> Iterator[str]:
    name = part.target
    try:
        target, parameters = target_of(name)
    except ConfigError as error:
        yield f"{path}._target_: {error}"
        return
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    hints = _hints(target)
    given = dict(part)
    for key, value in given.items():
        if key not in parameters:
            if not takes_any:
                yield f"{path}.{key} is not an argument of {name}.{nearest_of(key, list(parameters))}"
        elif not any(map(is_part, value if isinstance(value, list) else [value])) and (
            fault := _misfit(f"{path}.{key}", value, hints.get(key))
        ):
            yield fault
    if not part.is_deferred:
        for parameter in parameters.values():
            if parameter.name not in given | dict.fromkeys(FILLED) and _is_required(parameter):
                yield f"{path}.{parameter.name} is missing; {name} requires it. Set {path}.{parameter.name}=…"


def _hints(target: object) -> dict[str, Any]:
    has_fields = inspect.isclass(target) and (is_dataclass(target) or issubclass(target, msgspec.Struct))
    annotated = target.__init__ if inspect.isclass(target) and not has_fields else target
    try:
        return typing.get_type_hints(annotated, include_extras=True)
    except (NameError, TypeError, AttributeError):  # a foreign signature whose annotations cannot be evaluated
        return {}


def _holds_parts(value: object) -> bool:
    """Whether a value is a mapping or a list of parts."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(isinstance(one, Part) or _holds_parts(one) for one in values)


def _misfit(path: str, value: object, hint: object) -> str | None:
    """Says why a value does not fit an annotation; None where it fits or the annotation cannot be checked."""
    if hint is None or _holds_parts(value):  # each part is checked by itself
        return None
    metas = [meta for meta in typing.get_args(hint) if isinstance(meta, msgspec.Meta)]
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        wanted = words_of_hint(hint)
        required = f"it must be {', or '.join(wanted)}" if wanted else f"{str(error)[0].lower()}{str(error)[1:]}"
        example = next(iter(wanted.values()), "…")
        example = value if isinstance(value, str) and _is_quoted(value, hint) else example
        return f"{path} is {value!r}; {required}. Set e.g. {path}={example}"
    except TypeError:  # torch.Tensor, callables, …: only the part itself can check
        return _misfit(path, value, _plain(hint))
    if any((meta.extra or {}).get("must_exist") for meta in metas) and not Path(str(value)).exists():
        return f"{path} is {value!r}; there is no such file or folder. Set {path}=PATH"
    return None


def _is_quoted(value: str, hint: object) -> bool:
    """Returns whether a text holds what fits, so that its quotation marks alone are wrong."""
    try:
        msgspec.convert(value, hint, strict=False)
    except (msgspec.ValidationError, TypeError):
        return False
    return True


def _plain(hint: object) -> object:
    """Returns the members of a union that can be checked, e.g. `float` of `float | Tensor`; None if there is none."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return None
    members = tuple(member for member in typing.get_args(hint) if member in (int, float, str, bool, type(None)))
    return typing.Union[members] if members else None  # noqa: UP007 - the members are known at run time alone


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind not in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )
