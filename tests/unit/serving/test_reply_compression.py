"""Large replies are compressed where the client takes that: what it asked for, and what it gets."""

import gzip
import zlib

import numpy as np
import pytest

from maas.serving.reply_compression import LARGE_REPLY_BYTES, wanted_encoding

ROWS = np.random.default_rng(0).integers(0, 17, (1000, 64)).astype(np.float32)
PATH = "/v2/models/digits/infer"
BODY = {"inputs": [{"name": "input", "shape": [1000, 64], "datatype": "FP32", "data": ROWS.ravel().tolist()}]}


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        (None, None),
        (b"", None),
        (b"identity", None),
        (b"br", None),
        (b"gzip", "gzip"),
        (b"deflate", "deflate"),
        (b"GZIP, deflate, br, zstd", "gzip"),
        (b"gzip;q=0.2, deflate; q=0.7", "deflate"),
        (b"gzip;q=0, *", "deflate"),
        (b"*;q=0", None),
        (b"gzip;q=much", None),
    ],
)
def test_encoding_is_the_one_that_the_client_prefers(header, encoding):
    assert wanted_encoding({} if header is None else {b"accept-encoding": header}) == encoding


@pytest.mark.parametrize(("encoding", "decode"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_large_reply_is_compressed_when_the_client_takes_that(array_server, encoding, decode):
    plain = array_server.client.post(PATH, json=BODY, headers={"accept-encoding": "identity"})
    with array_server.client.stream("POST", PATH, json=BODY, headers={"accept-encoding": encoding}) as response:
        content = b"".join(response.iter_raw())
    assert "content-encoding" not in plain.headers
    assert response.headers["content-encoding"] == encoding
    assert response.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert len(content) == int(response.headers["content-length"]) < len(plain.content) * 0.6
    assert decode(content) == plain.content
    assert len(plain.content) > LARGE_REPLY_BYTES


def test_small_reply_is_left_as_it_is_when_the_client_would_take_another(array_server):
    response = array_server.client.get("/v2/models/digits", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize("algorithm", [None, "gzip", "deflate"])
@pytest.mark.parametrize("is_binary", [True, False])
def test_tritonclient_reads_replies_in_the_encoding_that_it_asks_for(array_server, algorithm, is_binary):
    http = pytest.importorskip("tritonclient.http")
    tensor = http.InferInput("input", [1000, 64], "FP32")
    tensor.set_data_from_numpy(ROWS)
    wanted = [http.InferRequestedOutput("probabilities", binary_data=is_binary)]
    with http.InferenceServerClient(array_server.url.removeprefix("http://")) as client:
        found = client.infer("digits", [tensor], outputs=wanted, response_compression_algorithm=algorithm)
        plain = client.infer("digits", [tensor], outputs=wanted)
    np.testing.assert_array_equal(found.as_numpy("probabilities"), plain.as_numpy("probabilities"))
