"""What a dry run reads off a trainer's settings."""

from types import SimpleNamespace

import pytest

from maas.planning.profiler import loop_of
from maas.planning.shortening import validations_of, world_of


@pytest.mark.parametrize(
    ("trainer", "world"),
    [
        ({"accelerator": "cpu", "devices": 1}, 1),
        ({"accelerator": "cpu", "devices": "auto"}, 1),
        ({"accelerator": "cpu", "devices": 2, "num_nodes": 3}, 6),
        ({"accelerator": "gpu", "devices": [0, 1]}, 2),
        ({"accelerator": "gpu", "devices": "4"}, 4),
    ],
)
def test_processes_are_counted_when_a_trainer_names_them(trainer, world):
    assert world_of(trainer) == world


@pytest.mark.parametrize(
    ("trainer", "validations"),
    [
        ({}, 1),
        ({"val_check_interval": 0.25}, 4),
        ({"val_check_interval": 30}, 3),
        ({"check_val_every_n_epoch": 5}, 0.2),
        ({"check_val_every_n_epoch": None, "val_check_interval": 200}, 0.5),
    ],
)
def test_validations_are_counted_when_a_trainer_has_other_intervals(trainer, validations):
    assert validations_of(trainer, batches=100) == pytest.approx(validations)


@pytest.mark.parametrize(
    ("settings", "world", "loop"),
    [
        ({"max_epochs": 3}, 1, (10, 3, 30)),
        ({"max_epochs": 3}, 4, (3, 3, 9)),
        ({"max_epochs": 3, "max_steps": 12}, 1, (10, 2, 12)),
        ({"max_epochs": 3, "max_steps": 12, "accumulate_grad_batches": 2}, 1, (10, 3, 24)),
        ({"max_epochs": -1, "max_steps": 35}, 1, (10, 4, 35)),
        ({"max_epochs": -1}, 1, (10, None, None)),
    ],
)
def test_loop_ends_where_the_first_bound_is_when_there_are_several(settings, world, loop):
    trainer = SimpleNamespace(**{"num_training_batches": 10, "max_steps": -1, "accumulate_grad_batches": 1, **settings})
    found = loop_of(trainer, world, 1.0)
    assert (found.batches, found.epochs, found.total_batches) == loop
