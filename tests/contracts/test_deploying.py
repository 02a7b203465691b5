"""The files of docs/deploying: what they name exists, and what they start answers, is asked how it is, and stops."""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from maas.serving.settings import ServerSettings
from maas.serving.stopping import GRACE_S, LEAST_CLOSING_S, STUCK_S

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/deploying"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
PYTHON = "/opt/maas/bin/python"
LONGEST_STOP_S = GRACE_S + LEAST_CLOSING_S + 2 * STUCK_S
"""Seconds within which a supervisor ends its workers."""
OTHER_VARIABLES = {"MAAS_CACHE"}


def instructions() -> list[tuple[str, str]]:
    """Returns the Dockerfile's instructions, each with its arguments in one line."""
    text = re.sub(r"\\\n\s*", "", (FOLDER / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def stage(name: str) -> list[tuple[str, str]]:
    """Returns the instructions of a stage."""
    found, is_in = [], False
    for word, rest in instructions():
        is_in = rest.endswith(f" AS {name}") if word == "FROM" else is_in
        found += [(word, rest)] if is_in else []
    return found


def variables_of(words: list[tuple[str, str]]) -> dict[str, str]:
    return dict(one.split("=", 1) for word, rest in words if word == "ENV" for one in shlex.split(rest))


def unit() -> dict[str, list[str]]:
    """Returns the settings of the unit's section of the service, each with its values."""
    found: dict[str, list[str]] = {}
    for line in (FOLDER / "maas.service").read_text(encoding="utf-8").splitlines():
        if "=" in line:
            found.setdefault(line.partition("=")[0], []).append(line.partition("=")[2])
    return found


def settings_file() -> dict[str, str]:
    parser = configparser.ConfigParser(delimiters="=")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string("[server]\n" + (FOLDER / "server.env").read_text(encoding="utf-8"))
    return dict(parser["server"])


@contextmanager
def started(command: list[str], variables: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Starts a command with these variables alone, and waits until it says where it is."""
    port = free_port()
    own = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **variables, "MAAS_PORT": str(port)}
    with subprocess.Popen(command, env=own, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert f":{port}" in process.stdout.readline()
            process.port, process.variables = port, own
            yield process
        finally:
            process.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def asked(process: subprocess.Popen[str], command: list[str]) -> int:
    return subprocess.run(command, env=process.variables, check=False, capture_output=True).returncode


def test_container_serves_its_bundle_is_healthy_and_stops(bundles, tmp_path):
    bundles.array_bundle(tmp_path / "model")
    words = stage("alias")
    entry, check = (json.loads(re.search(r"\[.*\]$", dict(words)[word])[0]) for word in ("ENTRYPOINT", "HEALTHCHECK"))
    assert variables_of(stage("bundle")) == {"MAAS_MODEL": "/srv/model"}
    assert ("COPY", "${BUNDLE} /srv/model") in stage("bundle")
    assert (entry[0], check[0], dict(words)["USER"], dict(words)["STOPSIGNAL"]) == (
        "python",
        "python",
        "maas",
        "SIGTERM",
    )
    variables = {**variables_of(words), "PATH": "/usr/bin", "MAAS_MODEL": str(tmp_path / "model")}
    with started([sys.executable, *entry[1:]], variables, tmp_path) as server:
        assert asked(server, [sys.executable, *check[1:]]) == 0
        assert httpx.post(f"http://127.0.0.1:{server.port}/predict", json={"input_data": [[0] * 64]}).status_code == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert asked(server, [sys.executable, *check[1:]]) != 0


def test_unit_serves_what_its_file_of_settings_names_reloads_and_stops(bundles, tmp_path):
    bundles.array_bundle(tmp_path / "model")
    found = unit()
    (command,) = found["ExecStart"]
    assert shlex.split(command)[0] == PYTHON
    (reload_,) = found["ExecReload"]
    given = dict(one.split("=") for one in shlex.split(found["Environment"][0]))
    variables = {
        **given,
        **settings_file(),
        "MAAS_MODEL": str(tmp_path / "model"),
        "MAAS_CACHE": str(tmp_path / "cache"),
    }
    with started([sys.executable, *shlex.split(command)[1:]], variables, tmp_path) as server:
        url, row = f"http://127.0.0.1:{server.port}/predict", {"input_data": [list(range(16)) * 4]}
        first = httpx.post(url, json=row).json()
        shutil.rmtree(tmp_path / "model")
        bundles.array_bundle(tmp_path / "model", seed=1)
        subprocess.run(shlex.split(reload_.replace("$MAINPID", str(server.pid))), check=True)
        while httpx.post(url, json=row).json() == first:  # pytest's own timeout ends a wait in vain
            time.sleep(0.05)
        server.send_signal(signal.Signals[found.get("KillSignal", ["SIGTERM"])[0]])
        assert server.wait() == 0


def test_unit_is_valid(tmp_path):
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    text = (FOLDER / "maas.service").read_text(encoding="utf-8")
    (tmp_path / "maas.service").write_text(text.replace(PYTHON, "/usr/bin/env"), encoding="utf-8")
    verified = [tool, "verify", "--man=no", str(tmp_path / "maas.service")]
    done = subprocess.run(verified, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_who_stops_a_server_waits_longer_than_it_takes():
    assert int(unit()["TimeoutStopSec"][0]) > LONGEST_STOP_S
    assert int(COMPOSE["services"]["server"]["stop_grace_period"].removesuffix("s")) > LONGEST_STOP_S
    assert unit()["RestartPreventExitStatus"] == ["2"]  # which the shell's table of statuses has as a mistake


def test_variables_are_settings_of_the_server():
    known = {f"MAAS_{name.upper()}" for name in ServerSettings.__struct_fields__} | OTHER_VARIABLES
    compose = COMPOSE["services"]["server"]["environment"]
    given = dict(one.split("=") for one in shlex.split(unit()["Environment"][0]))
    places = [variables_of(stage("alias")), variables_of(stage("bundle")), given, settings_file(), compose]
    for place in places:
        assert {name for name in place if name.startswith("MAAS_")} <= known
    assert set().union(*places) - known == {"PATH", "PYTHONUNBUFFERED", "MLFLOW_TRACKING_URI"}


def test_copied_files_and_installed_extras_exist():
    copied = [rest.split()[:-1] for word, rest in stage("install") if word == "COPY"]
    assert all((ROOT / name).exists() for names in copied for name in names)
    extras = re.search(r"'\.\[([\w,]+)\]'", dict(stage("install"))["RUN"])[1].split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(extras) <= project["project"]["optional-dependencies"].keys()
    pinned = (ROOT / "maas/constraints.txt").read_text(encoding="utf-8")
    assert re.search(r"^mlflow==", pinned, re.MULTILINE)
    assert re.search(r"^psycopg-binary==", pinned, re.MULTILINE)


def test_services_name_each_other_their_stages_and_volumes():
    services, stages = (
        COMPOSE["services"],
        {rest.partition(" AS ")[2] for word, rest in instructions() if word == "FROM"},
    )
    for service in services.values():
        assert service.keys() & {"image", "build"}
        assert set(service.get("depends_on", ())) <= services.keys()
        assert all("healthcheck" in services[name] for name in service.get("depends_on", ()))
        named = {one.partition(":")[0] for one in service.get("volumes", ())}
        assert named <= COMPOSE["volumes"].keys()
        if build := service.get("build"):
            assert (FOLDER / build["context"] / build["dockerfile"]).resolve() == FOLDER / "Dockerfile"
            assert build["target"] in stages
    assert services["server"]["environment"]["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"


def test_registry_s_command_is_one_of_mlflow():
    from mlflow.cli import server

    service = COMPOSE["services"]["mlflow"]
    words = shlex.split(service["command"])
    known = {option for parameter in server.params for option in parameter.opts}
    assert words[:2] == ["mlflow", "server"]
    assert {word for word in words if word.startswith("--")} <= known
    assert set(service["environment"]) <= {parameter.envvar for parameter in server.params}


@pytest.mark.slow
def test_registry_answers_the_server_and_its_own_check(tmp_path):
    """With SQLite in the place of PostgreSQL, whose driver tests/unit/registry/test_servers.py runs."""
    service, port = COMPOSE["services"]["mlflow"], free_port()
    text = service["command"].replace("0.0.0.0", "127.0.0.1").replace("5000", str(port))
    words = shlex.split(text.replace("/artifacts", str(tmp_path / "artifacts")))
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"}
    command = [sys.executable, "-m", *words]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, start_new_session=True) as process:
        try:
            check = [sys.executable, *(one.replace("5000", str(port)) for one in service["healthcheck"]["test"][2:])]
            while subprocess.run(check, check=False, capture_output=True).returncode:
                assert process.poll() is None
                time.sleep(1)
            url = f"http://127.0.0.1:{port}/api/2.0/mlflow/registered-models/search"
            found = [httpx.get(url, headers={"host": f"{name}:{port}"}).status_code for name in ("mlflow", "other")]
            assert found == [200, 403]
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def test_page_explains_each_file():
    page = (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    assert {file.name for file in FOLDER.iterdir()} == set(re.findall(r"\(deploying/([\w.]+)\)", page))
    named = {line.partition("=")[0] for line in (FOLDER / "maas.service").read_text(encoding="utf-8").splitlines()}
    hardening = {
        one for one in named if re.match(r"(Protect|Private|Restrict[A-Z]|SystemCall|NoNew|Lock|Capability)", one)
    }
    assert {one for one in hardening if f"`{one}" not in page} == set()
