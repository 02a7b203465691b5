"""What a user would pick instead."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.evidence.baselines import boosting, logistic_regression, tfidf_logistic
from maas.records.evidence import DataRecord

RECORD = DataRecord("", {}, {})


def made(inputs: list, targets: np.ndarray, labels: tuple[str, ...] = ()) -> Splits:
    """Splits rows into three fifths, one fifth and one fifth."""
    first, second = len(inputs) * 3 // 5, len(inputs) * 4 // 5
    cuts = [slice(0, first), slice(first, second), slice(second, None)]
    return Splits(*[Split(inputs[cut], targets[cut]) for cut in cuts], labels, RECORD)


def hidden(splits: Splits) -> Splits:
    """Returns the same splits with other test targets, which no baseline may look at."""
    test = Split(splits.test.inputs, np.zeros_like(splits.test.targets))
    return Splits(splits.train, splits.validation, test, splits.labels, RECORD)


@pytest.mark.parametrize("analyzer", ["char", "char_wb"])
def test_baseline_tells_texts_apart_and_never_reads_test_targets_when_it_is_fitted(analyzer):
    texts = [f"很好 {index}" if index % 2 else f"太差 {index}" for index in range(40)]
    train = Split(texts, np.arange(40) % 2)
    test = Split(["很好 很好", "太差了", "真的很好"], np.array([0, 0, 0]))
    splits = Splits(train, test, test, ("bad", "good"), RECORD)
    found = tfidf_logistic([1, 2], analyzer=analyzer)(splits)
    assert found.argmax(axis=1).tolist() == [1, 0, 1]
    assert found.sum(axis=1) == pytest.approx(1)


def digits() -> Splits:
    bunch = load_digits()
    return made(list(bunch.images.astype(np.uint8)), bunch.target, tuple("0123456789"))


def test_logistic_regression_equals_that_of_scikit_learn_when_rows_are_pixels():
    splits = digits()
    flat = np.stack(splits.train.inputs).reshape(len(splits.train), -1).astype(np.float32)
    scaler = StandardScaler().fit(flat)
    expected = LogisticRegression(C=0.1, max_iter=1000).fit(scaler.transform(flat), splits.train.targets)
    test = scaler.transform(np.stack(splits.test.inputs).reshape(len(splits.test), -1).astype(np.float32))
    found = logistic_regression([0.1])(hidden(splits))
    np.testing.assert_allclose(found, expected.predict_proba(test), atol=1e-4)
    assert (found.argmax(axis=1) == splits.test.targets).mean() > 0.85


def test_logistic_regression_takes_the_strength_that_validates_best_when_several_are_given():
    splits = digits()
    alone = {strength: logistic_regression([strength])(splits) for strength in (1e-6, 0.1)}
    assert logistic_regression([1e-6, 0.1])(splits).tolist() == alone[0.1].tolist() != alone[1e-6].tolist()


def test_logistic_regression_looks_at_few_rows_when_it_is_told_to():
    splits = digits()
    few = Splits(splits.train.spread(50), splits.validation, splits.test, splits.labels, RECORD)
    assert (
        logistic_regression([0.1], max_rows=50)(splits).tolist()
        == logistic_regression([0.1], max_rows=None)(few).tolist()
    )


def test_boosting_equals_that_of_scikit_learn_when_columns_are_numbers():
    bunch = load_diabetes()
    splits = made(bunch.data.tolist(), bunch.target.astype(np.float32))
    first, second = len(splits.train), len(splits.train) + len(splits.validation)
    expected = HistGradientBoostingRegressor(max_iter=500, early_stopping=True, random_state=0).fit(
        bunch.data[:first],
        splits.train.targets,
        X_val=bunch.data[first:second],
        y_val=splits.validation.targets,
    )
    found = boosting()(hidden(splits))
    np.testing.assert_allclose(found, expected.predict(bunch.data[second:]))
    assert found.shape == splits.test.targets.shape


def mixed(count: int) -> tuple[list[dict], np.ndarray]:
    """Rows whose target is 10 for the category `a`, minus 10 else, plus the number where there is one."""
    generator = np.random.default_rng(0)
    rows = [
        {
            "kind": None if index % 7 == 0 else str(generator.choice(["a", "b", "c"])),
            "size": float("nan") if index % 5 == 0 else float(generator.uniform(-5, 5)),
            "month": int(generator.integers(1, 13)),
        }
        for index in range(count)
    ]
    sizes = np.nan_to_num([row["size"] for row in rows])
    return rows, (np.array([10 if row["kind"] == "a" else -10 for row in rows]) + sizes).astype(np.float32)


def test_boosting_learns_categories_numbers_and_gaps_when_rows_are_mixed():
    rows, targets = mixed(2000)
    splits = made(rows, targets)
    found = boosting()(hidden(splits))
    assert 1 - ((found - splits.test.targets) ** 2).sum() / splits.test.targets.var() / len(found) > 0.99


def test_rows_are_the_same_when_they_are_dictionaries_or_lists():
    rows, targets = mixed(500)
    lists = [list(row.values()) for row in rows]
    assert boosting()(made(rows, targets)).tolist() == boosting()(made(lists, targets)).tolist()


def test_unknown_category_counts_as_missing_when_it_was_never_seen():
    rows, targets = mixed(500)
    splits = made(rows, targets)
    answers = [
        boosting()(Splits(splits.train, splits.validation, Split([{"kind": kind, "size": 1.0}], None), (), RECORD))
        for kind in ("never seen", None, "")
    ]
    assert answers[0] == answers[1] == answers[2]


def test_numbers_are_categories_when_the_recipe_sets_it():
    generator = np.random.default_rng(0)
    rows = [{"code": int(code)} for code in generator.integers(0, 50, 3000)]
    targets = np.array([row["code"] % 2 for row in rows])
    splits = made(rows, targets, ("even", "odd"))
    found = boosting(["code"], max_iter=10)(hidden(splits))
    assert (found.argmax(axis=1) == splits.test.targets).all()
    assert not (boosting(max_iter=1)(splits).argmax(axis=1) == splits.test.targets).all()


def test_whole_number_is_one_category_when_it_is_written_with_a_point():
    rows = [{"code": float(index % 4) if index % 3 else str(index % 4)} for index in range(2000)]
    splits = made(rows, np.arange(2000) % 4 % 2, ("even", "odd"))
    assert (boosting(max_iter=10)(hidden(splits)).argmax(axis=1) == splits.test.targets).all()


def test_rare_categories_are_missing_when_there_are_more_than_boosting_takes():
    rows = [{"code": f"code {index % 400}"} for index in range(2000)]
    targets = np.array([index % 400 % 2 for index in range(2000)])
    assert boosting(max_iter=5)(made(rows, targets, ("even", "odd"))).shape == (400, 2)


@pytest.mark.parametrize(
    ("baseline", "inputs", "labels", "name", "what"),
    [
        (tfidf_logistic(), [[1.0], [2.0]] * 5, ("a", "b"), "tfidf_logistic", "texts"),
        (tfidf_logistic(), ["a", "b"] * 5, (), "tfidf_logistic", "labels"),
        (logistic_regression(), ["a", "b"] * 5, ("a", "b"), "logistic", "arrays of numbers of one shape"),
        (logistic_regression(), [[1.0], [1.0, 2.0]] * 5, ("a", "b"), "logistic", "arrays of numbers of one shape"),
        (logistic_regression(), [[1.0], [2.0]] * 5, (), "logistic", "labels"),
        (boosting(), ["a", "b"] * 5, (), "boosting", "rows of columns"),
    ],
)
def test_baseline_is_refused_when_rows_are_not_for_it(baseline, inputs, labels, name, what):
    with pytest.raises(ConfigError) as caught:
        baseline(made(inputs, np.arange(len(inputs)) % 2, labels))
    assert str(caught.value) == f"baseline {name} is for {what}, and these rows are not. Set baseline=null."


def test_boosting_is_refused_when_rows_carry_no_targets():
    part = Split([{"a": 1}], None)
    with pytest.raises(ConfigError, match="^baseline boosting is for labels or numbers, and these rows are not"):
        boosting()(Splits(part, part, part, (), RECORD))


def test_label_that_training_rows_lack_has_no_probability_when_the_test_rows_have_it():
    rows = [{"size": float(index)} for index in range(100)]
    splits = made(rows, np.repeat([0, 2], 50)[np.arange(100) % 2 * 50], ("small", "never", "large"))
    found = boosting(max_iter=2)(splits)
    assert found.shape == (20, 3)
    assert (found[:, 1] == 0).all()
    assert found.sum(axis=1) == pytest.approx(1)
