"""What Triton's client reads of models, and what MLServer's and KServe's codecs send of tables."""

import time

import numpy as np
import pytest

http = pytest.importorskip("tritonclient.http")


@pytest.fixture
def triton(table_server):
    client = http.InferenceServerClient(table_server.url.removeprefix("http://"))
    yield client
    client.close()


def asked(server, inputs: list[dict], path: str = "/v2/models/sums/infer"):
    response = server.client.post(path, json={"inputs": inputs})
    return response.json()["outputs"][0]["data"] if response.status_code == 200 else response.json()["error"]


def column(name: str, values: list, **changes) -> dict:
    datatype = "BYTES" if name in ("size", "text") else "FP64"
    return {"name": name, "datatype": datatype, "shape": [len(values)], "data": values, **changes}


def test_tritonclient_reads_the_configuration(triton):
    found = triton.get_model_config("sums")
    assert found["input"] == [
        {"name": "price", "data_type": "TYPE_FP64", "dims": [1], "optional": True},
        {"name": "area", "data_type": "TYPE_FP64", "dims": [1], "optional": True},
        {"name": "size", "data_type": "TYPE_STRING", "dims": [1], "optional": True},
    ]
    assert found["output"] == [{"name": "value", "data_type": "TYPE_FP64", "dims": [1]}]
    assert triton.get_model_config("sums", "1") == found
    with pytest.raises(http.InferenceServerException, match="No model 'other' is served here; there is sums"):
        triton.get_model_config("other")


def test_configuration_allows_as_many_rows_as_the_server_takes(triton, table_server):
    rows = triton.get_model_config("sums")["max_batch_size"]
    assert len(asked(table_server, [column("price", [1.0] * rows)])) == rows
    assert f"has {rows + 1} rows; this server takes {rows}" in asked(
        table_server, [column("price", [1.0] * (rows + 1))]
    )


def test_tritonclient_reads_the_index(triton):
    assert triton.get_model_repository_index() == [{"name": "sums", "version": "1", "state": "READY", "reason": ""}]


@pytest.mark.parametrize("action", ["load_model", "unload_model"])
def test_tritonclient_is_told_where_models_are_loaded_when_it_asks_at_the_public_port(triton, action):
    with pytest.raises(http.InferenceServerException, match="Start the server with admin_port=8081, and send the req"):
        getattr(triton, action)("sums")


def test_all_versions_are_named_when_there_are_several(start, array_folder, tmp_path):
    models = tmp_path / "models.yaml"
    models.write_text(
        f"models:\n- {{model: {array_folder}, version: '3'}}\n- {{model: {array_folder}, version: '4'}}\n", "utf-8"
    )
    with start(f"models={models}") as server:
        assert server.client.get("/v2/models/digits").json()["versions"] == ["3", "4"]
        assert [one["version"] for one in server.client.post("/v2/repository/index").json()] == ["3", "4"]


def test_extensions_are_those_that_there_are(triton):
    assert triton.get_server_metadata()["extensions"] == [
        "binary_tensor_data",
        "classification",
        "generate",
        "model_configuration",
        "model_repository",
        "statistics",
    ]


SIZES = ["S", "M", None]
COLUMNS = {
    "null": ([column("price", [1.5, None, 2]), column("area", [20, 1, 3]), column("size", SIZES)], [22.5, 3, 5]),
    "all null": ([column("price", [None]), column("area", [20]), column("size", ["S"])], [21]),
    "left out": ([column("size", SIZES)], [1, 2, 0]),
    "other order": ([column("size", ["L"]), column("area", [1])], [4]),
    "columns of one": (
        [column("price", [1, None], shape=[2, 1]), column("size", ["S", "M"], shape=[2, 1])],
        [2, 2],
    ),
    "nested": ([column("price", [[1.5], [2]], shape=[2, 1]), column("area", [[1], [1]], shape=[2, 1])], [2.5, 3]),
    "whole numbers": ([column("price", [1, 2], datatype="INT64"), column("area", [3, 4], datatype="UINT8")], [4, 6]),
    "codecs": (
        [
            column("price", [1], parameters={"content_type": "np"}),
            column("size", ["TA=="], parameters={"content_type": "base64"}),
        ],
        [4],
    ),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_are_read_when_their_form_is_clear(table_server, case):
    sent, expected = COLUMNS[case]
    assert asked(table_server, sent) == expected


COLUMNS["JSON in texts"] = (
    [column("price", [1, 2]), column("size", ['"M"', "null"], parameters={"content_type": "pd_json"})],
    [3, 2],
)
REFUSED = {
    "JSON in texts": (
        [column("size", ["M"], parameters={"content_type": "pd_json"})],
        "content_type pd_json, and holds",
    ),
    "none": ([], "The request's inputs are []; the model takes the inputs price, area, size."),
    "unknown": ([column("width", [1])], "The request's inputs are ['width']; the model takes the inputs price"),
    "twice": ([column("price", [1]), column("price", [1])], "inputs are ['price', 'price']"),
    "two wide": ([column("price", [1, 2], shape=[1, 2])], "'price' has shape [1, 2]; the model takes [-1]"),
    "two deep": ([column("price", [1, 2], shape=[2, 1, 1])], "'price' has shape [2, 1, 1]; the model takes [-1]"),
    "unequal": ([column("price", [1, 2]), column("area", [1])], "unequal numbers of rows: {'price': 2, 'area': 1}"),
    "text": ([column("price", ["1"])], "holds something else than numbers of datatype FP64"),
    "large": ([column("price", [2**53 + 1], datatype="INT64")], "holds a whole number that datatype FP64 does not"),
    "deep JSON": (
        [column("size", ["[" * 100_000], parameters={"content_type": "pd_json"})],
        "'size' has content_type pd_json, and holds none",
    ),
    "base64": ([column("size", ["ä"], parameters={"content_type": "base64"})], "'size' has content_type base64, and"),
    "base64 of numbers": (
        [column("price", [1], parameters={"content_type": "base64"})],
        "'price' has content_type base64 and datatype FP64; send BYTES.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_columns_are_refused_with_the_cause(table_server, case):
    sent, cause = REFUSED[case]
    assert cause in asked(table_server, sent)


def test_text_is_needed_beside_columns_that_may_be_missing(start, bundles, tmp_path):
    path = "/v2/models/reviews/infer"
    with start(f"model={bundles.combined_bundle(tmp_path / 'combined')}") as server:
        assert len(asked(server, [column("price", [1]), column("review", ["good"], datatype="BYTES")], path)) == 1
        assert asked(server, [column("price", [1])], path) == (
            "The request's inputs are ['price']; the model takes the inputs review, price, size."
        )


def test_tritonclient_reads_how_often_models_were_asked(start, array_folder):
    def tensor(rows: int):
        made = http.InferInput("input", [rows, 64], "FP32")
        made.set_data_from_numpy(np.zeros((rows, 64), dtype=np.float32))
        return made

    with (
        start(f"model={array_folder}") as server,
        http.InferenceServerClient(server.url.removeprefix("http://")) as client,
    ):
        (before,) = client.get_inference_statistics("digits")["model_stats"]
        for rows in (1, 1, 3):
            client.infer("digits", [tensor(rows)])
        server.client.post("/v2/models/digits/infer", json={"inputs": []})  # it is not understood, and is none
        (after,) = client.get_inference_statistics("digits", "1")["model_stats"]
        assert client.get_inference_statistics()["model_stats"] == [after]
        with pytest.raises(http.InferenceServerException, match="served in version 1, not 9"):
            client.get_inference_statistics("digits", "9")
    assert (before["inference_count"], before["last_inference"], before["batch_stats"]) == (0, 0, [])
    assert (after["name"], after["version"], after["inference_count"], after["execution_count"]) == (
        "digits",
        "1",
        5,
        3,
    )
    stats = after["inference_stats"]
    assert {name: one["count"] for name, one in stats.items() if one["count"]} == {"success": 3, "compute_infer": 3}
    assert {one["batch_size"]: one["compute_infer"]["count"] for one in after["batch_stats"]} == {1: 2, 3: 1}
    assert 0 < stats["compute_infer"]["ns"] < stats["success"]["ns"]
    assert abs(time.time() - after["last_inference"] / 1000) < 600


def test_requests_that_the_model_cannot_answer_are_counted_as_failed(start, bundles, tmp_path):
    with start(f"model={bundles.combined_bundle(tmp_path / 'combined', fills=False)}") as server:
        asked(server, [column("review", ["good"], datatype="BYTES")], "/v2/models/reviews/infer")  # not finite
        (found,) = server.client.get("/v2/models/reviews/stats").json()["model_stats"]
    assert (found["inference_stats"]["success"]["count"], found["inference_stats"]["fail"]["count"]) == (0, 1)
