"""Dashboard and alerts name metrics that the server has, and Prometheus' own tool accepts and fires the rules."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from maas.dashboards import write_dashboards

WORDS = re.compile(r"\b((?:maas|process)_\w+|up)\b(?:\{([^}]*)\})?")
OF_PROMETHEUS = {"up": {"job", "instance"}}
"""Series and labels that Prometheus adds."""
LATER = {
    "maas_swaps_total": {"model", "result"},
    "maas_shadow_total": {"model", "result"},
    "maas_rollout_info": {"rollout", "model", "kind", "status"},
}
"""Labels of series that are there once an alias has moved, or there is a roll-out."""


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[dict, dict]:
    folder = tmp_path_factory.mktemp("dashboards") / "new" / "folder"
    dashboard, alerts = write_dashboards(folder)
    return json.loads(dashboard.read_text()), yaml.safe_load(alerts.read_text())


def expressions(written: tuple[dict, dict]) -> list[str]:
    dashboard, alerts = written
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queried = [one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    return shown + queried + [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]


def live_metrics(text: str) -> dict[str, set[str]]:
    """Returns the labels of each series of /metrics, by name."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, rest = line.partition("{")
            labels = set(re.findall(r'(\w+)="', rest)) if rest else set()
            found.setdefault(name.split(" ")[0], set()).update(labels)
        elif (name := line.split()[2]) in LATER and line.startswith("# TYPE"):
            found[name] = LATER[name]
    return found


def test_every_metric_and_label_is_one_that_the_server_has(written, array_server):
    array_server.client.post("/predict", json={"input_data": [[0] * 64]})
    known = live_metrics(array_server.client.get("/metrics").text) | OF_PROMETHEUS
    named = [found for one in expressions(written) for found in WORDS.findall(one)]
    assert {name for name, _ in named} <= known.keys()
    assert len({name for name, _ in named}) >= 10
    for name, selected in named:
        assert set(re.findall(r"(\w+)\s*[=!]", selected)) <= known[name] | {"job", "instance"}, name
    groups = [found for one in expressions(written) for found in re.findall(r"by \((.*?)\)", one)]
    grouped = {label.strip() for group in groups for label in group.split(",")}
    assert grouped <= set().union(*known.values()) | {"instance"}


def test_dashboard_is_such_as_grafana_imports(written):
    dashboard, _ = written
    assert dashboard["title"]
    assert "id" not in dashboard  # Grafana gives one
    assert isinstance(dashboard["schemaVersion"], int)
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 8
    variables = {one["name"] for one in dashboard["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(panels))) - {"__rate_interval"} <= variables
    cells = set()
    for panel in panels:
        place = panel["gridPos"]
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in own) < 24
        assert not own & cells, "panels overlap"
        cells |= own
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0


def test_every_alert_says_what_happened(written):
    rules = [rule for group in written[1]["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 6
    assert all(rule["annotations"]["summary"].endswith(".") for rule in rules)
    assert {rule["labels"]["severity"] for rule in rules} == {"critical", "warning"}


def test_entry_writes_both_files_and_refuses_what_is_no_folder(tmp_path):
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "maas", "dashboards", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run(tmp_path / "out").stdout.split() == [f"{tmp_path}/out/grafana.json", f"{tmp_path}/out/alerts.yaml"]
    (tmp_path / "file").touch()
    refused = run(tmp_path / "file")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "cannot be written" in refused.stderr
    assert run(tmp_path, tmp_path).returncode == 2


SERIES = """
rule_files: [alerts.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job="maas", instance="a"}', values: '1x40'}
      - {series: 'up{job="maas", instance="b"}', values: '0x40'}
      - {series: 'maas_requests_total{instance="a", model="m", status="200"}', values: '0+100x40'}
      - {series: 'maas_requests_total{instance="a", model="m", status="500"}', values: '0+5x40'}
      - {series: 'maas_requests_total{instance="a", model="m", status="503"}', values: '0+20x40'}
      - {series: 'maas_request_seconds_bucket{instance="a", model="m", le="1"}', values: '0+1x40'}
      - {series: 'maas_request_seconds_bucket{instance="a", model="m", le="2.5"}', values: '0+100x40'}
      - {series: 'maas_request_seconds_bucket{instance="a", model="m", le="+Inf"}', values: '0+100x40'}
      - {series: 'maas_swaps_total{instance="a", model="m", result="refused"}', values: '0x30 1x10'}
      - {series: 'maas_swaps_total{instance="a", model="m", result="unreachable"}', values: '0+1x40'}
      - {series: 'maas_rollout_info{instance="a", model="m", rollout="r", status="returned"}', values: '1x40'}
      - {series: 'process_open_fds{job="maas", instance="a"}', values: '90x40'}
      - {series: 'process_max_fds{job="maas", instance="a"}', values: '100x40'}
    alert_rule_test:
"""
FIRING = {
    "MaasDown": "{job: maas, instance: b, severity: critical}",
    "MaasWithoutModel": "{job: maas, instance: a, severity: critical}",
    "MaasErrors": "{instance: a, model: m, severity: critical}",
    "MaasOverloaded": "{instance: a, model: m, severity: warning}",
    "MaasSlow": "{instance: a, model: m, severity: warning}",
    "MaasSwapRefused": "{instance: a, model: m, result: refused, severity: warning}",
    "MaasRegistryAway": "{instance: a, model: m, result: unreachable, severity: warning}",
    "MaasCandidateReturned": "{instance: a, rollout: r, model: m, severity: warning}",
    "MaasFewFileDescriptors": "{job: maas, instance: a, severity: warning}",
}


@pytest.fixture(scope="session")
def promtool(tmp_path_factory) -> str:
    """Returns Prometheus' tool, of this machine or of Debian's package."""
    if found := shutil.which("promtool"):
        return found
    folder = tmp_path_factory.mktemp("prometheus")
    if (
        not shutil.which("apt-get")
        or subprocess.run(
            ["apt-get", "-q", "download", "prometheus"], cwd=folder, capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("promtool is not here, and Debian's package of it cannot be had")
    subprocess.run(["dpkg", "-x", str(next(folder.glob("*.deb"))), str(folder)], check=True)
    return str(folder / "usr/bin/promtool")


@pytest.mark.slow
def test_promtool_accepts_the_rules_and_every_alert_fires(promtool, written, tmp_path):
    write_dashboards(tmp_path)

    def run(*arguments: str) -> None:
        done = subprocess.run([promtool, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run("check", "rules", "alerts.yaml")
    rules = [rule for group in written[1]["groups"] for rule in group["rules"]]
    assert {rule["alert"] for rule in rules} == FIRING.keys()
    plain = [{**rule, "annotations": {"summary": "X"}} for rule in rules]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({"groups": [{"name": "maas", "rules": plain}]}))
    alert = "exp_alerts: [{exp_labels: %s, exp_annotations: {summary: X}}]"
    cases = [f"      - {{eval_time: 35m, alertname: {name}, {alert % labels}}}\n" for name, labels in FIRING.items()]
    (tmp_path / "tests.yaml").write_text(SERIES + "".join(cases))
    run("test", "rules", "tests.yaml")
