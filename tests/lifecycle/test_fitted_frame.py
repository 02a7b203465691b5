"""`maas.fit` takes a frame through the whole line, and the bundle predicts frames."""

import numpy as np
import pandas as pd

import maas


def test_frame_becomes_a_model_that_predicts_frames(tmp_path):
    random = np.random.default_rng(0)
    ages, cities = random.integers(18, 80, 300), random.choice(["北京", "上海", "Wien"], 300)
    bought = np.where((ages > 40) ^ (cities == "Wien"), "yes", "no")
    frame = pd.DataFrame({"age": ages, "city": cities, "bought": bought}, index=range(1000, 1300))

    line = maas.fit(frame, "bought", registry=None, runs_dir=str(tmp_path))

    assert line.bundle.labels == ("no", "yes")
    labels = [one["label"] for one in line.bundle.predict(frame)]
    assert np.mean(np.array(labels) == bought) > 0.95
    probabilities = line.bundle.predict_proba(frame[["city", "age"]])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert np.array(line.bundle.labels)[probabilities.argmax(axis=1)].tolist() == labels
    (recipe,) = (tmp_path / "bought" / "data").glob("*.yaml")
    again = maas.compose(str(recipe), registry=None, runs_dir=str(tmp_path))
    assert maas.lifecycle.newest_bundle(again).digest == line.bundle.digest
