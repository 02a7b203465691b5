"""What no client can provoke on purpose: a fault of the server itself, and what it tells."""

import logging

import msgspec
import pytest

from maas.errors import InputError, OverloadError
from maas.serving.app import response_to
from maas.serving.faults import STATUS, MethodError, status_and_code
from maas.serving.payload import decode


def test_fault_of_the_server_tells_an_id_and_logs_the_traceback(caplog):
    with caplog.at_level(logging.ERROR, "maas.serving"):
        response = response_to(ZeroDivisionError("secret"))
    content = msgspec.json.decode(response.body)
    assert response.status == 500
    assert content["code"] == "internal_error"
    assert "secret" not in content["error"]
    assert content["id"] in content["error"]
    assert content["id"] in caplog.text
    assert "ZeroDivisionError: secret" in caplog.text


def test_every_fault_is_the_callers_unless_it_is_unknown():
    assert {kind: status for kind, (status, _) in STATUS.items() if status >= 500} == {
        BaseException: 500,
        OverloadError: 503,
    }


def test_subclass_has_the_status_of_its_nearest_ancestor():
    class StrangeInputError(InputError):
        pass

    assert status_and_code(StrangeInputError("x")) == (400, "invalid_input")
    assert status_and_code(RuntimeError("x")) == (500, "internal_error")


def test_headers_tell_when_to_come_back_and_what_is_allowed():
    assert response_to(OverloadError("x", retry_after_s=3)).headers == ((b"retry-after", b"3"),)
    assert response_to(MethodError("x", allowed=["GET", "POST"])).headers == ((b"allow", b"GET, POST"),)


def test_unreadable_body_shows_an_example():
    with pytest.raises(InputError, match=r'Send e\.g\. {"a": 1}'):
        decode(msgspec.json.Decoder(dict[str, int]), b"{", '{"a": 1}')
