"""Which of the user's own files a part is made of; nothing is imported to find out."""

import sys
import textwrap
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

from maas.config.own_files import own_files_of_modules, own_files_of_parts
from maas.errors import ConfigError


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes modules below a folder that is searched for them; what is imported of them is forgotten in the end."""
    monkeypatch.syspath_prepend(tmp_path / "own")
    own: set[str] = set()

    def write(**sources: str) -> Path:
        for name, source in sources.items():
            *folders, last = name.split("__")
            own.add([*folders, last][0])
            path = tmp_path.joinpath("own", *folders, f"{last.replace('init', '__init__')}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source))
        return tmp_path / "own"

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]


def names(*targets: str) -> list[str]:
    return list(own_files_of_parts(targets))


NET = "class Net:\n    pass\n"


def test_helpers_are_found_one_by_another_when_a_part_imports_them(written):
    folder = written(
        s_net=f"import json\nimport numpy as np\nimport s_one\n{NET}",
        s_one="from s_two import f\n",
        s_two="def f():\n    import s_three.deep as d\n",
        s_three__init="",
        s_three__deep="",
        s_three__unasked="",
    )
    assert own_files_of_parts({"s_net.Net"}) == {
        "s_net": folder / "s_net.py",
        "s_one": folder / "s_one.py",
        "s_three": folder / "s_three/__init__.py",
        "s_three.deep": folder / "s_three/deep.py",
        "s_two": folder / "s_two.py",
    }
    assert "s_three" not in sys.modules  # a function has yet to import it, and may never


def test_relative_imports_are_followed_when_a_package_holds_the_part(written):
    written(
        r_lab__init="from .nets import Net\n",
        r_lab__nets="from . import blocks\nfrom .deep.layers import layer\n" + NET,
        r_lab__blocks="def f():\n    from ... import above\n",
        r_lab__deep__init="",
        r_lab__deep__layers="from ..common import layer\n",
        r_lab__common="layer = 1\n",
    )
    wanted = ["r_lab", "r_lab.blocks", "r_lab.common", "r_lab.deep", "r_lab.deep.layers", "r_lab.nets"]
    assert names("r_lab.Net") == wanted  # by the name that the package gives it, too


def test_namespace_packages_are_followed_when_their_folders_have_no_init(written):
    written(n_space__nets="import n_space.parts.one\nfrom n_space.parts import two\n" + NET)
    written(n_space__parts__one="", n_space__parts__two="from n_other.deep import three\n", n_other__deep__three="")
    assert names("n_space.nets.Net") == ["n_other.deep.three", "n_space.nets", "n_space.parts.one", "n_space.parts.two"]


@pytest.mark.parametrize(
    "line",
    [
        "import_module(f'c_lab.{name}')",
        "importlib.import_module('.' + name, __package__)",
        "__import__('c_lab.' + name)",
    ],
)
def test_package_is_covered_whole_when_it_imports_by_computed_names(written, line):
    written(
        c_lab__init="",
        c_lab__nets=f"import importlib\nfrom importlib import import_module\ndef f(name):\n    {line}\n{NET}",
        c_lab__plugins__one="import c_helper\n",
        c_helper="",
    )
    assert names("c_lab.nets.Net") == ["c_helper", "c_lab", "c_lab.nets", "c_lab.plugins.one"]


def test_written_names_and_asterisks_are_followed_when_a_part_imports_by_them(written):
    written(
        w_net=f"import importlib\nimportlib.import_module('w_one')\nfrom w_lab import *\nfrom numpy import *\n{NET}",
        w_one="",
        w_lab__init="__all__ = ['two']\n",
        w_lab__two="",
    )
    assert names("w_net.Net") == ["w_lab", "w_lab.two", "w_net", "w_one"]


def test_file_is_covered_when_it_makes_the_part_or_one_of_its_bases(written):
    written(
        b_base=NET,
        b_net="import importlib\nname = 'b_base'\nclass Own(importlib.import_module(name).Net):\n    pass\n",
        b_partial="import functools\nimport b_net\nmake = functools.partial(b_net.Own)\n",
    )
    assert names("b_net.Own") == ["b_base", "b_net"]
    assert {"b_net", "b_partial"} <= set(names("b_partial.make"))


def test_editable_installs_are_the_users_own_when_a_finder_leads_to_them(written, tmp_path, monkeypatch):
    elsewhere = tmp_path / "checkout/src/e_pack"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").write_text("import e_pack.deep\n")
    (elsewhere / "deep.py").touch()

    class Finder:
        """As an editable install leaves it."""

        @staticmethod
        def find_spec(name: str, path: object, target: object = None) -> object:
            return spec_from_file_location(name, elsewhere / "__init__.py") if name == "e_pack" else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    written(e_net=f"def f():\n    import e_pack\n{NET}")
    found = own_files_of_parts({"e_net.Net"})
    assert list(found) == ["e_net", "e_pack", "e_pack.deep"]
    assert found["e_pack"] == elsewhere / "__init__.py"


def test_installed_and_built_in_modules_are_left_out_when_own_ones_import_them(written, tmp_path, monkeypatch):
    site = tmp_path / "lib/python3/site-packages"
    (site / "i_pack").mkdir(parents=True)
    (site / "i_pack/__init__.py").write_text("import i_net\n")
    monkeypatch.syspath_prepend(site)
    written(i_net=f"import i_pack, sys, json, maas.errors\nimport maas.models.mlp\n{NET}")
    assert names("i_net.Net") == ["i_net"]
    assert list(own_files_of_modules(["json", "torch.nn", "maas.config", "sys", "", "no.such"])) == []


def test_file_is_covered_and_not_followed_when_it_is_no_python(written):
    folder = written(o_net=f"def f():\n    import o_broken\n    import o_odd\n{NET}", o_broken="def (\nimport o_more\n")
    written(o_more="")
    (folder / "o_odd.py").write_bytes(b"# \x00\nimport o_more\n")
    assert names("o_net.Net") == ["o_broken", "o_net", "o_odd"]


def test_module_of_a_part_is_covered_as_before_when_it_is_installed():
    assert names("torch.nn.Linear") == ["torch.nn.modules.linear"]
    assert names("maas.models.mlp.MLP") == []


def test_target_is_refused_when_it_cannot_be_imported():
    with pytest.raises(ConfigError, match="cannot be imported"):
        own_files_of_parts({"no_such_module.Net"})
