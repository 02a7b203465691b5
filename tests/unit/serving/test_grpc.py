"""gRPC: what clients of the Open Inference Protocol never send, health checking, reflection, and an orderly end."""

import asyncio
import importlib.resources
import re
import signal
import subprocess
import sys
import threading

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from maas.runtime.bundle import Bundle
from maas.serving.protocols.grpc_methods import GrpcMethod
from maas.serving.protocols.open_inference.grpc import SERVICE
from maas.serving.repository import Repository
from maas.serving.service import Service
from maas.serving.transports.body_limits import BodyBudget
from maas.serving.transports.grpc import GrpcServer, grpc_services


@pytest.fixture(scope="module")
def channel(start, array_folder):
    with start(f"model={array_folder}", "grpc_port=0") as server:
        address = re.fullmatch(r"gRPC: (\S+:\d+)\n", server.process.stdout.readline())[1]
        with grpc.insecure_channel(address) as channel:
            yield channel


def asked(channel, method: str, message: object, **settings):
    make = channel.unary_unary(
        f"/{SERVICE}/{method}",
        request_serializer=lambda one: one if isinstance(one, bytes) else one.SerializeToString(),
        response_deserializer=GrpcMethod(SERVICE, method).reply_type.FromString,
    )
    return make.with_call(message, **settings)


def refused(channel, message: object) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        asked(channel, "ModelInfer", message)
    return caught.value.code(), caught.value.details()


def infer(**changes):
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 64]}
    content = {"model_name": "digits", "inputs": [{**tensor, **changes.pop("tensor", {})}], **changes}
    return GrpcMethod(SERVICE, "ModelInfer").request_type(**content)


ZEROS = np.zeros(64, np.float32).tobytes()


@pytest.mark.parametrize("name", ["open_inference", "tf_serving"])
def test_compiled_protocol_is_what_its_sources_say(tmp_path, repository, name):
    folder = repository / "maas/serving/protocols"
    sources = {"open_inference": ["open_inference.proto"], "tf_serving": ["tensorflow.proto", "tf_serving.proto"]}[name]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", folder, f"--descriptor_set_out={tmp_path / 'made'}"]
    subprocess.run([*command, *(folder / source for source in sources)], check=True)
    shipped = importlib.resources.files("maas.serving.protocols").joinpath(f"{name}.binpb").read_bytes()
    assert (tmp_path / "made").read_bytes() == shipped


CLIENTS_MESSAGES = """
from google.protobuf import descriptor_pb2, descriptor_pool
import tritonclient.grpc
pool = descriptor_pool.Default()
file = descriptor_pb2.FileDescriptorProto(name="tensorflow/core/framework/tensor.proto", package="tensorflow")
file.message_type.add(name="TensorProto").field.add(name="other", number=1, type=9, label=1)
pool.Add(file)
import maas.serving.transports.grpc
from maas.serving.protocols.grpc_methods import POOL
assert [one.name for one in pool.FindMessageTypeByName("tensorflow.TensorProto").fields] == ["other"]
assert POOL.FindMessageTypeByName("tensorflow.TensorProto").fields[0].name == "dtype"
"""


def test_messages_of_clients_and_of_the_server_live_in_one_process():
    subprocess.run([sys.executable, "-c", CLIENTS_MESSAGES], check=True)


def test_typed_contents_and_raw_contents_mean_the_same(channel, array_folder):
    rows = np.random.default_rng(0).integers(0, 17, (3, 64)).astype(np.float32)
    shape = {"shape": [3, 64]}
    raw, _ = asked(channel, "ModelInfer", infer(tensor=shape, raw_input_contents=[rows.tobytes()]))
    typed, _ = asked(channel, "ModelInfer", infer(tensor={**shape, "contents": {"fp32_contents": rows.ravel()}}))
    whole = {**shape, "datatype": "UINT8", "contents": {"uint_contents": rows.ravel().astype(int)}}
    small, _ = asked(channel, "ModelInfer", infer(tensor=whole))
    assert raw.raw_output_contents == typed.raw_output_contents == small.raw_output_contents
    expected = Bundle.open(array_folder).predictor.outputs(rows)["probabilities"]
    names = [output.name for output in raw.outputs]
    assert raw.raw_output_contents[names.index("probabilities")] == expected.tobytes()


def test_reply_names_model_version_and_request(channel):
    _, call = asked(channel, "ModelInfer", infer(raw_input_contents=[ZEROS]), metadata=[("x-request-id", "seven")])
    assert {("maas-model", "digits"), ("maas-version", "1"), ("x-request-id", "seven")} <= set(call.trailing_metadata())


REFUSED = {
    "no message": (b"\xff\xff", "INVALID_ARGUMENT", "The message cannot be read"),
    "other model": (infer(model_name="other"), "NOT_FOUND", "No model 'other' is served here"),
    "long Chinese name": (infer(model_name="模型" * 5000), "NOT_FOUND", "No model '模型模型"),
    "other version": (infer(model_version="9"), "NOT_FOUND", "is served in version 1, not 9"),
    "few bytes": (infer(raw_input_contents=[b"1"]), "INVALID_ARGUMENT", "has 1 bytes of binary data; its shape"),
    "too many contents": (
        infer(raw_input_contents=[ZEROS, ZEROS]),
        "INVALID_ARGUMENT",
        "The request has 1 inputs and 2 raw_input_contents",
    ),
    "no contents": (infer(), "INVALID_ARGUMENT", "holds 0 values; its shape [1, 64] needs 64"),
    "other contents": (
        infer(tensor={"contents": {"int_contents": [0] * 64}}),
        "INVALID_ARGUMENT",
        "holds 0 values; its shape [1, 64] needs 64",
    ),
    "large number": (
        infer(tensor={"datatype": "UINT8", "contents": {"uint_contents": [256] * 64}}),
        "INVALID_ARGUMENT",
        "holds a number that datatype UINT8 does not",
    ),
    "half floats by type": (infer(tensor={"datatype": "FP16"}), "INVALID_ARGUMENT", "holds 0 values"),
    "unknown parameter": (
        infer(raw_input_contents=[ZEROS], parameters={"seed": {"int64_param": 1}}),
        "INVALID_ARGUMENT",
        "The parameter 'seed' is not known here",
    ),
    "empty parameter": (
        infer(raw_input_contents=[ZEROS], parameters={"timeout": {}}),
        "OK",
        "",
    ),
    "too many rows": (
        infer(tensor={"shape": [5000, 64]}, raw_input_contents=[ZEROS * 5000]),
        "RESOURCE_EXHAUSTED",
        "has 5000 rows; this server takes 1024 at a time",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_message_is_refused_with_its_status_and_the_cause(channel, case):
    message, status, cause = REFUSED[case]
    if status == "OK":
        assert asked(channel, "ModelInfer", message)[0].model_name == "digits"
        return
    code, details = refused(channel, message)
    assert code is grpc.StatusCode[status]
    assert cause in details


def test_health_is_checked_by_the_standard_service(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", *grpc_services()):
        found = stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert found.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
        stub.Check(health_pb2.HealthCheckRequest(service="other"))


def test_reflection_describes_all_services(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    services = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", *grpc_services()}
    assert set(database.get_services()) == services
    for service in services:
        name = service.rpartition(".")[2]
        assert name in [one.name for one in database.FindFileContainingSymbol(service).service]


def test_message_is_refused_with_when_to_come_back_when_other_bodies_fill_the_memory(bundles, tmp_path):
    async def trailing_metadata() -> tuple[grpc.StatusCode, dict[str, str]]:
        repository = Repository()
        repository.open(bundles.array_bundle(tmp_path / "array"))
        bodies = BodyBudget(10_000, 10_000)
        bodies.held_bytes = 9_900
        server = GrpcServer(Service(repository), "127.0.0.1", 0, bodies)
        async with grpc.aio.insecure_channel(await server.start()) as channel:
            method = channel.unary_unary(f"/{SERVICE}/ModelInfer")
            with pytest.raises(grpc.aio.AioRpcError, match="The bodies of requests hold 9,900 bytes") as caught:
                await method(infer(raw_input_contents=[ZEROS]).SerializeToString())
            bodies.held_bytes = 0
            await method(infer(raw_input_contents=[ZEROS]).SerializeToString())
        await server.stop(1)
        await repository.close()
        assert bodies.held_bytes == 0
        return caught.value.code(), dict(caught.value.trailing_metadata())

    code, metadata = asyncio.run(trailing_metadata())
    assert code is grpc.StatusCode.UNAVAILABLE
    assert int(metadata["grpc-retry-pushback-ms"]) >= 1000


def test_stopped_server_answers_what_it_accepted_over_grpc(start, array_folder, slow_module):
    with start(f"model={array_folder}", "grpc_port=0", module=slow_module) as server:
        address = re.fullmatch(r"gRPC: (\S+:\d+)\n", server.process.stdout.readline())[1]
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
            stop = threading.Timer(0.15, server.process.send_signal, [signal.SIGTERM])
            stop.start()
            reply, _ = asked(channel, "ModelInfer", infer(raw_input_contents=[ZEROS]))
            stop.join()
        assert reply.model_name == "digits"
        assert server.process.wait(60) == 0


def test_grpc_port_that_is_taken_is_named_in_one_line(array_folder, start):
    with start(f"model={array_folder}", "grpc_port=0") as server:
        port = server.process.stdout.readline().rpartition(":")[2].strip()
        command = [sys.executable, "-m", "maas.serve", f"model={array_folder}", "port=0", f"grpc_port={port}"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port} for gRPC. Choose another port" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
