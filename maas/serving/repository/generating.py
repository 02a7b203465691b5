"""From a bundle that generates texts to a deployment: opened, compared with its golden texts, given its slots."""

from collections.abc import Callable
from functools import partial

from maas.errors import ConfigError
from maas.runtime.bundle import Bundle
from maas.runtime.generation.opening import check_golden, golden_prompts, open_generator
from maas.serving.engines.steps import StepsEngine
from maas.serving.entries import LocatedEntry
from maas.serving.executors import Lane
from maas.serving.repository.deployments import GeneratingDeployment
from maas.serving.repository.slots import EngineSettings
from maas.serving.statistics import ModelStatistics

CONVERSATIONS = ("What is the capital of France?", "Name three fruits.", "写一句关于大海的话。")
"""What people may begin with where a model answers conversations; the prompts of others are golden ones."""


def opened_generating(
    bundle: Bundle,
    model: LocatedEntry,
    settings: EngineSettings,
    lane: Lane,
    observe_rows: Callable[[str, str, int], None],
) -> GeneratingDeployment:
    """Opens a bundle that generates texts, and compares how likely its golden texts are.

    Args:
        bundle: whole.
        model: what is to be served.
        settings: how it is run; its batch size is the number of slots.
        lane: thread that makes large prompts tokens.
        observe_rows: receives the model's name, its version and the number of texts of each run.

    Raises:
        BundleError: it cannot be read, or its golden texts are less or more likely than when it was made.
        ConfigError: it is to be loaded by its first call.
    """
    name = model.name or bundle.manifest.name
    if model.entry.lazy:
        raise ConfigError(f"Model {name} generates texts, and such models cannot be lazy. Leave lazy out.")
    generator = open_generator(bundle.folder, bundle.manifest, threads=settings.threads)
    check_golden(bundle.folder, generator)
    generator.prepare_forms()
    generator.batch_size = settings.batch_size or generator.batch_size
    generator.context_length = min(generator.context_length, settings.context_length or generator.context_length)
    statistics = ModelStatistics()
    engine = StepsEngine(
        generator,
        lane,
        max_queue=settings.max_queue,
        observe=partial(observe_rows, name, model.version),
        statistics=statistics,
    )
    prompts = CONVERSATIONS if generator.has_chat_template else tuple(golden_prompts(bundle.folder, generator))
    return GeneratingDeployment(name, model.version, bundle, generator, engine, prompts, statistics)
