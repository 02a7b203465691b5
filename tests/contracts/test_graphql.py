"""Generated GraphQL queries: what fits the schema is answered by data, and what does not by an error, never by a fault.

The schema is the one that the server describes; schemathesis makes queries of it. Its own check of GraphQL takes every
error for one of the server, as for a version that is not served; the check here knows codes.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
HOOKS = """
import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes

numbers = st.lists(st.integers(0, 16), min_size=64, max_size=64)
rows = numbers | st.text(max_size=5) | st.integers()


def node(value):
    if isinstance(value, list):
        return nodes.List(list(map(node, value)))
    return nodes.String(value) if isinstance(value, str) else nodes.Int(value)


schemathesis.graphql.scalar("JSON", rows.map(node))
schemathesis.graphql.scalar("String", (st.sampled_from(["digits", "sentiment", "1"]) | st.text(max_size=5)).map(node))


@schemathesis.check
def answered_as_graphql(ctx, response, case):
    content = response.json()
    assert set(content) <= {"data", "errors"}
    codes = {error["extensions"]["code"] for error in content.get("errors", ())}
    assert codes <= {"invalid_input", "unknown_model", "query_too_costly", "invalid_graphql", "too_many_rows"}, codes
    assert response.status_code == 200 or codes <= {"query_too_costly", "invalid_graphql"}
    assert response.headers["content-type"] == ["application/graphql-response+json"]
"""


@pytest.fixture(scope="module")
def url(bundles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    models = [f"model={getattr(bundles, f'{name}_bundle')(folder / name)}" for name in ("array", "text", "table")]
    command = [sys.executable, "-m", "maas.serve", "port=0", *models]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield re.search(r"http://\S+?:\d+", process.stdout.readline())[0]
        finally:
            process.terminate()


def queries_that_found_nothing(url: str, folder: Path, examples: int) -> int:
    """Sends generated queries, and returns how many.

    Raises:
        AssertionError: a check found something.
    """
    (folder / "hooks.py").write_text(HOOKS)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/graphql", "--no-color"]
    command += ["--seed", os.environ.get("SCHEMATHESIS_SEED", "19"), "--continue-on-failure"]
    command += ["--max-examples", str(examples), "--checks", "answered_as_graphql"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(folder)}
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-5_000:]
    return int(re.search(r"Test cases:\s+([\d,]+)", run.stdout)[1].replace(",", ""))


@pytest.mark.parametrize("examples", [5, pytest.param(500, marks=pytest.mark.slow)])
def test_generated_queries_are_answered_by_data_or_the_callers_fault(url, tmp_path, record_property, examples):
    cases = queries_that_found_nothing(url, tmp_path, examples)
    record_property("cases", cases)
    assert cases > 5 * examples
    assert httpx.get(f"{url}/v2/health/ready").status_code == 200


@pytest.mark.slow
def test_newer_graphql_core_answers_alike(tmp_path):
    """MLflow's own GraphQL holds it below 3.3 here; an install with the extra `graphql` alone has a newer one."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path, "graphql-core==3.3.2"]
    subprocess.run(pip, check=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        ROOT / "tests/unit/serving/test_graphql.py",
    ]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stdout[-20_000:]
