"""What an installed maas holds beside its code."""

import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parents[2]


def test_wheel_holds_parts_recipes_pins_and_schemas(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=HERE, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("maas-*.whl"))) as wheel:
        names = set(wheel.namelist())
    shipped = [*HERE.glob("conf/**/*.yaml"), *HERE.glob("recipes/*.yaml")]
    assert {f"maas/{path.relative_to(HERE).as_posix()}" for path in shipped} <= names
    assert {
        "maas/constraints.txt",
        "maas/py.typed",
        "maas/serving/docs.html",
        "maas/serving/page/static/index.html",
        "maas/serving/observers/alerts.yaml",
    } <= names
    assert {f"maas/records/{kind}.schema.json" for kind in ("manifest", "evidence")} <= names
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"maas"}
