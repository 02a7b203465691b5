"""Entries from the command line. Each process costs seconds, so a few look at many things."""

import os
import subprocess
import sys


def entered(*command: str, folder) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False, cwd=folder, env=environment
    )


def test_faults_are_told_one_a_line_with_status_2_when_a_recipe_has_three(tmp_path):
    done = entered(
        "maas.train", "recipe=digits_mlp", "model.dropout=1.5", "trainer.max_epoch=3", "batch_size=0", folder=tmp_path
    )
    assert done.returncode == 2
    assert sorted(done.stderr.splitlines()) == [
        "batch_size is 0; it must be a whole number, 1 or more. Set e.g. batch_size=64.",
        "model.dropout is 1.5; it must be a share in [0, 1). Set e.g. model.dropout=0.5",
        "trainer.max_epoch is no key of the recipe. Did you mean trainer.max_epochs?",
    ]
    assert list(tmp_path.iterdir()) == []


def test_recipes_are_listed_with_status_2_when_none_is_named(tmp_path):
    done = entered("maas", "train", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("No recipe was named. Set recipe=NAME; known are: ")
    assert done.stderr.count("\n") == 1
    assert "digits_mlp" in done.stderr


def test_missing_bundle_is_one_line_with_status_2_when_a_later_stage_is_entered_first(tmp_path):
    done = entered("maas.verify", "recipe=digits_mlp", "~registry", f"runs_dir={tmp_path / 'runs'}", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"{tmp_path / 'runs/digits_mlp'} holds no run with a bundle; run python -m maas.export recipe=digits_mlp first.\n"
    )
