"""The commands of docs/serving.md on roll-outs work, in their order."""

import re
import subprocess
from pathlib import Path

import pytest

from maas.serving.models_file import read_models_file

PAGE = Path(__file__).parents[4] / "docs/serving.md"
ROW = str([1] * 64)


@pytest.fixture(scope="module")
def section() -> str:
    return re.search(r"^## Roll-out\n(.*?)^## ", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[1]


def test_documented_commands_work_in_their_order(start, section, tmp_path, bundles):
    models, commands = re.findall(r"^```(?:yaml)?\n(.*?)^```", section, re.DOTALL | re.MULTILINE)[:2]
    three, four = bundles.array_bundle(tmp_path / "three"), bundles.array_bundle(tmp_path / "four", seed=1)
    models = models.replace("models:/digits/3", f"{three}, version: 3").replace(
        "models:/digits@next", f"{four}, version: 4, labels: [next]"
    )
    (tmp_path / "models.yaml").write_text(models)
    serve, *curls = re.split(r"\n(?=curl )", commands.strip())
    settings = [re.sub(r"^(models|state)=", rf"\1={tmp_path}/", one) for one in serve.split()[3:]]
    with start(*(one.replace("8081", "0") for one in settings)) as server:
        administration = re.search(r"http://(\S+)", server.process.stdout.readline())[1]
        replies = []
        for curl in curls:
            command = curl.replace("localhost:8081", administration).replace(
                "localhost:8080", f"127.0.0.1:{server.port}"
            )
            done = subprocess.run(
                ["bash", "-c", command.replace("[[…]]", f"[{ROW}]").replace("curl ", "curl -sS --fail-with-body ", 1)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (command, done.stdout, done.stderr)
            replies.append(done.stdout)
    made, of_ann, wanted, known, grown, ended = replies
    assert '"versions":{"stable":"3","candidate":"4"}' in made
    assert re.findall(r"maas-(?:version|rollout): (\S+)", of_ann) == re.findall(
        r"maas-(?:version|rollout): (\w+)", next(curl for curl in curls if "ann" in curl)
    )
    assert "maas-version: 4" in wanted
    assert '"status":"active"' in known
    assert '"percent":50.0' in grown
    assert ended == "{}"


def test_rollouts_of_a_documented_file_are_read(section, tmp_path):
    written = re.findall(r"^```yaml\n(rollouts:.*?)^```", section, re.DOTALL | re.MULTILINE)[0]
    (tmp_path / "models.yaml").write_text(f"models: [{{model: a}}]\n{written}")
    assert set(read_models_file(tmp_path / "models.yaml").rollouts) == {"digits-next"}
