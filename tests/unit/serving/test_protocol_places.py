"""Where operations of protocols are found before their modules are imported, and what a start does not import."""

import json
import subprocess
import sys

import pytest

from maas.serving.protocols import PROTOCOLS, sources_of
from maas.serving.repository import Repository
from maas.serving.routing import RouteTable

START = """
import json, sys
from maas.serving.arguments import settings_from
from maas.serving.transports.assembling import ServerParts, assembled_server
from maas.serving.transports.sockets import bound_listeners
settings = settings_from(sys.argv[1:])
server = assembled_server(settings, bound_listeners(settings), ServerParts())
server.service.find("GET", "/v2/health/ready")
server.service.find("POST", "/predict")
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture
def snapshot(array_folder):
    repository = Repository()
    repository.open(array_folder)
    return repository.snapshot


def path_of(operation) -> str:
    """Returns a path at which an operation is found."""
    return operation.path.replace("{", "").replace("}", "")


def test_every_operation_lies_at_a_path_of_its_protocol_when_it_is_made(snapshot):
    for source in sources_of(snapshot):
        operations = source.make()
        assert operations
        assert all(source.may_have(path_of(one)) for one in operations), source.paths


def test_operation_is_the_same_when_only_its_protocols_are_imported(snapshot):
    whole = RouteTable(sources_of(snapshot))
    for operation in whole.operations:
        found, values = RouteTable(sources_of(snapshot)).find(operation.method, path_of(operation))
        expected, expected_values = whole.find(operation.method, path_of(operation))
        assert (type(found), found.path, values) == (type(expected), expected.path, expected_values)


def test_each_protocol_has_operations_of_its_own_when_all_are_made(snapshot):
    routes = [(one.method, one.path) for one in RouteTable(sources_of(snapshot)).operations]
    assert len(routes) == len(set(routes))
    assert len(sources_of(snapshot)) == len(PROTOCOLS)


def test_server_imports_no_protocol_that_nobody_speaks_when_it_is_ready(array_folder):
    command = [sys.executable, "-c", START, f"model={array_folder}", "port=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    rooms = ("graphql", "openai", "tensorflow_serving", "mlflow", "explanations", "open_inference.rest")
    left_out = {f"maas.serving.protocols.{room}" for room in rooms}
    left_out |= {"maas.explaining", "maas.serving.rollout.rollouts", "maas.serving.page", "maas.runtime.translation"}
    left_out |= {"maas.registry.reading.readers", "prometheus_client", "yaml", "importlib.metadata", "email"}
    assert "maas.serving.protocols.rest" in loaded
    assert not loaded & left_out
