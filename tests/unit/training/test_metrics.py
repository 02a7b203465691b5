"""What validation watches, against scikit-learn to 1e-9, in one process and in two."""

import multiprocessing
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from torch import distributed

from maas.training.heads import task_head_of

ROWS, EXACT = 1001, 1e-9
LABELS = {"classification": ("a", "b", "c", "d"), "binary": ("no", "yes"), "regression": ()}


def rows(task: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns logits and targets: one label of four is rare, and numbers lie far from 0 for their spread."""
    chance = torch.Generator().manual_seed(7)
    if task == "regression":
        numbers = 2000 + 5 * torch.randn(ROWS, generator=chance)
        return (numbers + torch.randn(ROWS, generator=chance))[:, None], numbers
    outputs = 1 if task == "binary" else 4
    logits = torch.randn(ROWS, outputs, generator=chance)
    targets = (torch.rand(ROWS, generator=chance) ** 3 * len(LABELS[task])).long()
    return logits, targets


def expected(task: str) -> dict[str, float]:
    logits, targets = rows(task)
    if task == "regression":
        predicted, true = logits[:, 0].double().numpy(), targets.double().numpy()
        return {
            "r2": reference.r2_score(true, predicted),
            "mae": reference.mean_absolute_error(true, predicted),
            "rmse": reference.root_mean_squared_error(true, predicted),
        }
    predicted = (logits[:, 0] > 0).long() if task == "binary" else logits.argmax(dim=1)
    macro = {"labels": range(len(LABELS[task])), "average": "macro", "zero_division": 0}
    return {
        "accuracy": reference.accuracy_score(targets, predicted),
        "precision": reference.precision_score(targets, predicted, **macro),
        "recall": reference.recall_score(targets, predicted, **macro),
        "f1": reference.f1_score(targets, predicted, **macro),
    }


def watched(task: str, part: slice) -> dict[str, float]:
    """Returns what a process finds that sees a part of the rows, in batches of 64."""
    task_head = task_head_of(task, LABELS[task])
    logits, targets = (tensor[part] for tensor in rows(task))
    metrics = task_head.metrics().clone(prefix="validation_")
    for start in range(0, len(targets), 64):
        batch = slice(start, start + 64)
        metrics.update(task_head.activated(logits[batch]), targets[batch])
    return {name.removeprefix("validation_"): float(value) for name, value in metrics.compute().items()}


@pytest.mark.parametrize("task", LABELS)
def test_metrics_equal_scikit_learns_when_one_process_watches(task):
    assert watched(task, slice(None)) == pytest.approx(expected(task), abs=EXACT, rel=0)


def test_metrics_count_a_label_as_nothing_when_it_neither_occurs_nor_is_predicted():
    metrics = task_head_of("classification", ("a", "b", "c")).metrics()
    metrics.update(torch.eye(3)[[0, 1, 1, 0]], torch.tensor([0, 1, 1, 1]))
    found = {name: float(value) for name, value in metrics.compute().items()}
    macro = {"labels": range(3), "average": "macro", "zero_division": 0}
    assert found["f1"] == pytest.approx(reference.f1_score([0, 1, 1, 1], [0, 1, 1, 0], **macro), abs=EXACT)


def _share(rank: int, port: int, folder: Path) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    part = slice(0, 300) if rank == 0 else slice(300, None)  # unequal shares
    found = [sorted(watched(task, part).items()) for task in LABELS]
    np.save(folder / f"{rank}.npy", np.array([value for one in found for _, value in one]))
    distributed.destroy_process_group()


def test_metrics_equal_scikit_learns_when_two_processes_watch(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")  # a process that starts from nothing imports for many seconds
    others = [context.Process(target=_share, args=(rank, port, tmp_path)) for rank in range(2)]
    for one in others:
        one.start()
    for one in others:
        one.join()
        assert one.exitcode == 0
    wanted = [value for task in LABELS for _, value in sorted(expected(task).items())]
    for rank in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f"{rank}.npy"), wanted, rtol=0, atol=EXACT)
