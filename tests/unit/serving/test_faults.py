"""What no client can provoke on purpose: a fault of the server itself, and what it says."""

import logging

import msgspec
import pytest

from maas.errors import DeadlineError, InputError, OverloadError
from maas.serving import faults, routing
from maas.serving.faults import CallError, UnreadableError, kind_of, message_of
from maas.serving.protocols.bodies import decode
from maas.serving.routing import MethodError
from maas.serving.transports import http_heads
from maas.serving.transports.statuses import STATUS, http_refusal


def test_fault_of_the_server_has_an_id_and_a_traceback_in_the_log(caplog):
    with caplog.at_level(logging.ERROR, "maas.serving"):
        status, reply = http_refusal(ZeroDivisionError("secret"))
    content = msgspec.json.decode(reply.body)
    assert status == 500
    assert content["code"] == "internal_error"
    assert "secret" not in content["error"]
    assert content["id"] in content["error"]
    assert content["id"] in caplog.text
    assert "ZeroDivisionError: secret" in caplog.text


def test_every_fault_is_the_callers_unless_it_is_unknown():
    assert {kind: status for kind, status in STATUS.items() if status >= 500} == {
        "internal_error": 500,
        "generation_failed": 500,
        "overloaded": 503,
        "deadline_exceeded": 504,
    }


def test_every_kind_of_fault_has_a_status():
    classes = [
        one for module in (faults, http_heads, routing) for one in vars(module).values() if isinstance(one, type)
    ]
    kinds = {one.kind for one in classes if issubclass(one, CallError)}
    assert len(kinds) > 7
    assert kinds | {"internal_error", "generation_failed", "overloaded", "deadline_exceeded"} == set(STATUS)


def test_subclass_has_the_kind_of_its_nearest_ancestor():
    class StrangeInputError(InputError):
        pass

    class StrangeBodyError(UnreadableError):
        pass

    assert kind_of(StrangeInputError("x")) == "invalid_input"
    assert kind_of(StrangeBodyError("x")) == "invalid_json"
    assert kind_of(DeadlineError("x")) == "deadline_exceeded"
    assert kind_of(RuntimeError("x")) == "internal_error"


def test_headers_say_when_to_come_back_and_what_is_allowed():
    assert http_refusal(OverloadError("x", retry_after_s=3))[1].metadata == ((b"retry-after", b"3"),)
    assert http_refusal(MethodError("x", allowed=["GET", "POST"]))[1].metadata == ((b"allow", b"GET, POST"),)


def test_message_loses_its_middle_when_it_quotes_megabytes():
    text = f"The model {'x' * 2**20} is unknown; name another."
    assert len(message_of(InputError(text))) < 1100
    assert message_of(InputError(text)).endswith("is unknown; name another.")
    assert message_of(InputError("short")) == "short"


def test_unreadable_body_asks_for_json():
    with pytest.raises(UnreadableError, match=r"^The body is not JSON: .* Send JSON$"):
        decode(msgspec.json.Decoder(dict[str, int]), b"{")
