"""`python -m maas.serve`: its arguments."""

import subprocess
import sys

import pytest

from maas import serve
from maas.errors import ConfigError
from maas.serving.arguments import settings_from
from maas.serving.settings import ServerSettings


def test_settings_are_read_with_their_types():
    found = settings_from(["model=a=b", "port=0", "threads=2", "access_log=true", "model=c"])
    assert found == ServerSettings(model=("a=b", "c"), port=0, threads=2, access_log=True)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("prot=1", "prot is not a setting of the server. Did you mean port?"),
        (
            "zzz=1",
            "zzz is not a setting of the server. Known are: model, models, default, watch_s, workers, host, port",
        ),
        ("port=abc", "port is 'abc'; it must be a port in 0 to 65535"),
        ("port=70000", "port is '70000'; it must be a port in 0 to 65535"),
        ("threads=0", "threads is '0'; it must be a number of threads from 1 to 256"),
        ("threads=1000000", "threads is '1000000'; it must be a number of threads from 1 to 256"),
        ("batch_size=1048577", "batch_size is '1048577'; it must be a number of rows from 1 to 1048576"),
        ("max_queue=1.5", "max_queue is '1.5'; it must be a whole number, 1 or more"),
        ("access_log=maybe", "access_log is 'maybe'; it must be true or false"),
        ("runs/x", "'runs/x' is not key=value. Write e.g. model=runs/x."),
    ],
)
def test_wrong_argument_is_named_with_what_is_right(argument, message):
    with pytest.raises(ConfigError) as caught:
        settings_from(["model=x", argument])
    assert message in str(caught.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        settings_from(["prot=1", "threads=0"])
    assert len(str(caught.value).splitlines()) == 3
    assert "model is missing" in str(caught.value)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["model=x", "-h"]])
def test_help_shows_every_setting(arguments, capsys):
    serve.main(arguments)
    shown = capsys.readouterr().out
    assert shown.startswith("Serves models over HTTP.")
    assert all(f"\n    {name} " in shown for name in ServerSettings.__struct_fields__)


def test_folder_without_a_bundle_is_one_line_and_status_2(tmp_path):
    command = [sys.executable, "-m", "maas.serve", f"model={tmp_path}", "port=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "holds no manifest.json; name the folder of a bundle" in done.stderr


def test_key_is_refused_when_it_is_given_twice():
    with pytest.raises(ConfigError, match=r"^port is given twice: port=0 and port=1\. Leave one\.$"):
        settings_from(["model=A", "port=0", "port=1"])


def test_host_is_refused_when_it_is_empty():
    with pytest.raises(ConfigError, match=r"^host is empty\. Set host=127\.0\.0\.1 for this machine alone, or host=0"):
        settings_from(["model=A", "host="])


def test_message_is_short_when_an_argument_is_long():
    with pytest.raises(ConfigError) as caught:
        settings_from(["model=A", f"port={'9' * 100_000}", "x" * 100_000, f"{'y' * 100_000}=1"])
    assert len(str(caught.value)) < 1000


def test_environment_sets_what_the_command_line_does_not():
    variables = {"MAAS_MODEL": "a  b", "MAAS_PORT": "9000", "MAAS_HOST": "", "MAAS_THREADS": "2", "MAAS_CACHE": "x"}
    assert settings_from(["threads=3"], variables) == ServerSettings(model=("a", "b"), port=9000, threads=3)
    assert settings_from(["model=c"], variables).model == ("c",)


def test_variable_is_named_when_its_value_does_not_fit():
    with pytest.raises(ConfigError, match=r"^MAAS_PORT is '70000'; it must be a port in 0 to 65535"):
        settings_from(["model=A"], {"MAAS_PORT": "70000"})
    assert settings_from(["model=A", "port=1"], {"MAAS_PORT": "70000"}).port == 1


def test_port_is_the_default_when_kubernetes_sets_the_variable():
    assert settings_from(["model=A"], {"MAAS_PORT": "tcp://10.0.0.1:80"}).port == ServerSettings().port


HUNG_UP = """
import asyncio, os, signal, uvloop
from maas.serving.stopping import exit_when_stopped, handle_hangup

async def serve():
    called = asyncio.Event()
    handle_hangup(called.set)
    await called.wait()
    called.clear()
    os.kill(os.getpid(), signal.SIGHUP)
    await called.wait()

exit_when_stopped()
os.kill(os.getpid(), signal.SIGHUP)
uvloop.run(serve())
"""


def test_hangup_waits_for_the_event_loop_when_models_are_being_opened():
    assert subprocess.run([sys.executable, "-c", HUNG_UP], check=False, timeout=60).returncode == 0
