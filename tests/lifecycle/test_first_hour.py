"""The first hour with a file of one's own: one command from a CSV as Excel writes it to a bundle that predicts."""

import csv
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

import maas
import maas.run

SHORT = ["registry=null", "export.robustness_rows=12", "baseline=null"]


def test_bundle_predicts_rows_of_the_file_when_data_is_all_that_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    with Path("订单.csv").open("w", encoding="gb18030", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["编号", "日期", "城市", "金额", "等级"])
        for place in range(300):
            amount, day = random.uniform(1, 9), date(2024, 1, 1) + timedelta(days=int(random.integers(0, 700)))
            grade = "高" if amount > 5 and day.weekday() < 5 else "低"
            writer.writerow(
                [f"{place:05}", day, random.choice(["北京", "上海"]), f"{amount:.2f}".replace(".", ","), grade]
            )
    maas.run.main(["订单.csv", "target=等级", *SHORT])
    bundle = maas.load("runs/订单/latest/bundle")
    assert bundle.evidence.metrics["shipped"]["accuracy"].value > 0.9
    rows = [{"日期": "2024-03-05", "城市": "北京", "金额": 8.5}, {"日期": "2024-03-09", "城市": "北京", "金额": 8.5}]
    assert [found["label"] for found in bundle.predict(rows)] == ["高", "低"]
    said = capsys.readouterr().out
    assert "GB18030, separated by a semicolon, with decimal commas" in said
    assert "left out   '编号': zeros before numbers make codes" in said


@pytest.mark.slow
def test_majority_is_a_finding_when_a_net_predicts_nothing_else(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    rows = [f"{random.standard_normal()},{'rare' if random.random() < 0.06 else 'usual'}" for _ in range(400)]
    (tmp_path / "noise.csv").write_text("\n".join(["x,kind", *rows]))
    maas.run.main(["noise.csv", "target=kind", "model.estimator.estimator.class_weight=null", *SHORT])
    assert "[one_label]" in capsys.readouterr().out
