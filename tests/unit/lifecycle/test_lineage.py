"""Where a model comes from."""

import subprocess

import pytest

from maas.config import compose
from maas.lifecycle.lineage import git_commit, lineage_of, work_key


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def git(*arguments: str) -> str:
        own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *own, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    return git


def test_commit_is_none_when_the_folder_is_no_checkout(checkout):
    assert git_commit() is None


def test_commit_is_marked_when_a_tracked_file_differs(checkout, tmp_path):
    checkout("init", "-q")
    (tmp_path / "file").write_text("1")
    checkout("add", "file")
    checkout("commit", "-qm", "first")
    checkout("tag", "v1")
    assert git_commit() == checkout("rev-parse", "HEAD")
    (tmp_path / "file").write_text("2")
    assert git_commit() == f"{checkout('rev-parse', 'HEAD')}-dirty"


def test_work_is_other_work_when_recipe_or_rows_differ():
    config = compose("digits_mlp")
    key = work_key(config, "rows")
    assert work_key(compose("digits_mlp", "runs_dir=elsewhere"), "rows") == key
    assert work_key(compose("digits_mlp", "seed=1"), "rows") != key
    assert work_key(config, "other rows") != key


def test_work_is_other_work_when_the_file_of_a_part_differs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    net = tmp_path / "net_of_ones_own.py"
    net.write_text("from maas.models.mlp import MLP as Parent\n\n\nclass Net(Parent):\n    pass\n")
    config = compose("digits_mlp", "model._target_=net_of_ones_own.Net")
    key = work_key(config, "rows")
    net.write_text(net.read_text() + "# changed\n")
    assert work_key(config, "rows") != key


def test_lineage_holds_recipe_seed_and_digests_when_a_model_is_about_to_be_trained():
    config = compose("digits_mlp", "seed=4")
    lineage = lineage_of(config, "f" * 64)
    assert (lineage.recipe, lineage.seed, lineage.overrides) == ("digits_mlp", 4, ("seed=4",))
    assert (lineage.config_sha256, lineage.data_fingerprint) == (config.digest(), "f" * 64)
    assert len(lineage.constraints_sha256) == 64
