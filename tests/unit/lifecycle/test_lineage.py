"""Where a model comes from."""

import subprocess
import sys

import pytest

from maas.config import compose
from maas.lifecycle.lineage import candidates_key, git_commit, lineage_of, work_key


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


def test_overrides_hide_the_password_of_an_address_when_they_are_recorded():
    config = compose("digits_mlp", "registry.tracking_uri=postgresql://user:secret@host/mlflow", "seed=3")
    assert lineage_of(config, "rows").overrides == ("registry.tracking_uri=postgresql://user:***@host/mlflow", "seed=3")


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


def test_work_is_other_work_when_a_module_that_a_part_imports_differs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "net_with_helper.py").write_text(
        "from maas.models.mlp import MLP\nfrom helper_of_net import width\n\n\nclass Net(MLP):\n    pass\n"
    )
    helper, late, unrelated = (tmp_path / f"{name}.py" for name in ("helper_of_net", "late_helper", "not_imported"))
    helper.write_text("def width():\n    import late_helper\n    return late_helper.WIDTH\n")
    late.write_text("WIDTH = 16\n")
    unrelated.write_text("1\n")
    config = compose("digits_mlp", "model._target_=net_with_helper.Net")

    def keys() -> tuple[str, str]:
        return work_key(config, "rows"), candidates_key(config, "rows")

    first = keys()
    unrelated.write_text("2\n")
    assert keys() == first
    late.write_text("WIDTH = 32\n")
    second = keys()
    helper.write_text(helper.read_text() + "# changed\n")
    assert len({*first, *second, *keys()}) == 6


def test_work_is_the_same_when_the_users_folder_was_moved(tmp_path, monkeypatch):
    keys = []
    for place in ("one", "z/two"):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        (folder / "moved_net.py").write_text("import moved_helper\nfrom maas.models.mlp import MLP as Net\n")
        (folder / "moved_helper.py").touch()
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            keys.append(work_key(compose("digits_mlp", "model._target_=moved_net.Net"), "rows"))
        del sys.modules["moved_net"], sys.modules["moved_helper"]
    assert keys[0] == keys[1]


def test_class_that_hydra_gets_by_path_is_a_target_when_a_part_names_one():
    config = compose("digits_mlp", "+callbacks.own._target_=hydra.utils.get_class", "+callbacks.own.path=pathlib.Path")
    assert {"hydra.utils.get_class", "pathlib.Path"} <= config.targets()


def test_lineage_holds_recipe_seed_and_digests_when_a_model_is_about_to_be_trained():
    config = compose("digits_mlp", "seed=4")
    lineage = lineage_of(config, "f" * 64)
    assert (lineage.recipe, lineage.seed, lineage.overrides) == ("digits_mlp", 4, ("seed=4",))
    assert (lineage.config_sha256, lineage.data_fingerprint) == (config.digest(), "f" * 64)
    assert len(lineage.constraints_sha256) == 64
