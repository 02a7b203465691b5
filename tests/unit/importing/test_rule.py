"""Threshold tables: plain Python and the graph give the same label to every row, missing numbers among them."""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.importing.rule import Rule
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.tabular import TabularProcessor

SIGNS = [">", "<", ">=", "<=", "==", "!="]


@pytest.fixture
def fruit() -> Splits:
    rows = [{"sugar": 8.0, "weight": 90.0}, {"sugar": 2.0, "weight": 200.0}, {"sugar": None, "weight": 90.0}]
    split = Split(rows, np.array([1, 0, 2]))
    return Splits(split, split, split, ("melon", "ripe", "unripe"), None)


@pytest.fixture
def columns(fruit) -> TabularProcessor:
    return TabularProcessor(numbers=["sugar", "weight"]).fit(fruit.train.inputs)


RULES = [{"label": "ripe", "when": ["sugar > 7.5", "weight >= 80"]}, {"label": "melon", "when": ["weight > 150"]}]


def labels(model: Rule, splits: Splits, rows) -> list[str]:
    model_inputs = {"numbers": np.array(rows, dtype=np.float32)}
    return [splits.labels[one] for one in model.outputs(model_inputs).argmax(axis=1)]


def test_first_rule_that_matches_wins_when_several_do(fruit, columns):
    model = Rule(RULES, default="unripe").fit(fruit, columns)
    rows = [[8, 200], [8, 90], [2, 200], [2, 90], [7.5, 90], [8, 80], [8, 79]]
    assert labels(model, fruit, rows) == ["ripe", "ripe", "melon", "unripe", "unripe", "ripe", "unripe"]


def test_missing_number_matches_no_condition_when_a_row_lacks_it(fruit, columns, written, tmp_path, model_inputs_of):
    rules = [{"label": "ripe", "when": [f"sugar {sign} 3"]} for sign in SIGNS]
    model = Rule([*rules, {"label": "melon", "when": ["weight != 1"]}], default="unripe").fit(fruit, columns)
    model_inputs = model_inputs_of(
        columns, [{"sugar": None, "weight": 2.0}, {"sugar": None, "weight": None}, {"sugar": 1.0}]
    )
    expected = ["melon", "unripe", "ripe"]
    assert [fruit.labels[one] for one in model.outputs(model_inputs).argmax(axis=1)] == expected
    found = written(model, tmp_path, model_inputs).run(None, model_inputs)[0]
    np.testing.assert_array_equal(found, model.outputs(model_inputs))


@pytest.mark.parametrize("sign", SIGNS)
def test_graph_and_python_agree_when_numbers_lie_on_and_beside_the_threshold(sign, fruit, columns, written, tmp_path):
    model = Rule([{"label": "ripe", "when": [f"sugar {sign} 0.1"]}], default="melon").fit(fruit, columns)
    exact = np.float32(0.1)
    beside = [np.nextafter(exact, np.float32(direction)) for direction in (-1, 1)]
    sugar = np.array([exact, *beside, -1, 1, np.nan, np.inf, -np.inf], dtype=np.float32)
    model_inputs = {"numbers": np.stack([sugar, np.zeros_like(sugar)], axis=1)}
    signs = {">": sugar > exact, "<": sugar < exact, ">=": sugar >= exact, "<=": sugar <= exact, "==": sugar == exact}
    expected = signs.get(sign, (sugar != exact) & ~np.isnan(sugar))
    np.testing.assert_array_equal(model.outputs(model_inputs)[:, 1], expected)
    np.testing.assert_array_equal(
        written(model, tmp_path, model_inputs).run(None, model_inputs)[0], model.outputs(model_inputs)
    )
    reference = ReferenceEvaluator(str(tmp_path / "written.onnx")).run(None, model_inputs)[0]
    np.testing.assert_array_equal(reference, model.outputs(model_inputs))


def test_graph_and_python_agree_when_many_random_rules_overlap(iris, four, written, tmp_path, model_inputs_of):
    generator = np.random.default_rng(0)
    rows = generator.choice([0, 1, 2, 3], size=(1000, 4)).astype(np.float32)

    def condition() -> str:
        return f"{generator.integers(4)} {generator.choice(SIGNS)} {generator.integers(4)}"

    rules = [
        {"label": str(generator.choice(iris.labels)), "when": [condition() for _ in range(generator.integers(3, 6))]}
        for _ in range(30)
    ]
    model = Rule(rules, default="setosa").fit(iris, four)
    model_inputs = model_inputs_of(four, list(rows))
    expected = model.outputs(model_inputs)
    assert set(expected.argmax(axis=1)) == {0, 1, 2}
    np.testing.assert_array_equal(expected.sum(axis=1), 1)
    np.testing.assert_array_equal(written(model, tmp_path, model_inputs).run(None, model_inputs)[0], expected)


def test_position_counts_through_a_row_when_it_is_a_picture(iris, written, tmp_path, model_inputs_of):
    processor, rows = ArrayProcessor([2, 2]), np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    split = Split(list(rows), np.array([0, 1, 2]))
    splits = Splits(split, split, split, iris.labels, None)
    model = Rule([{"label": "virginica", "when": ["3 == 7"]}], default="setosa").fit(splits, processor)
    model_inputs = model_inputs_of(processor, list(rows))
    np.testing.assert_array_equal(model.outputs(model_inputs).argmax(axis=1), [0, 2, 0])
    np.testing.assert_array_equal(
        written(model, tmp_path, model_inputs).run(None, model_inputs)[0], model.outputs(model_inputs)
    )


def test_every_model_input_is_an_input_when_rules_read_one_of_them(fruit, written, tmp_path, model_inputs_of):
    rows = [{"sugar": 8.0, "weight": 90.0, "colour": "red"}]
    processor = TabularProcessor(numbers=["sugar", "weight"], categories=["colour"]).fit(rows)
    split = Split(rows, np.array([1]))
    model = Rule(RULES, default="unripe").fit(Splits(split, split, split, fruit.labels, None), processor)
    model_inputs = model_inputs_of(processor, rows)
    session = written(model, tmp_path, model_inputs)
    assert [one.name for one in session.get_inputs()] == ["numbers", "categories"]
    np.testing.assert_array_equal(session.run(None, model_inputs)[0], [[0, 1, 0]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sugar>7.5", ("sugar", ">", 7.5)),
        ("  od280/od315 of wines  <= -1e-2", ("od280/od315 of wines", "<=", -0.01)),
        ("3 != .5", ("3", "!=", 0.5)),
        ("x == +2.", ("x", "==", 2.0)),
    ],
)
def test_condition_is_read_when_it_is_written_in_other_ways(text, expected):
    assert Rule([{"label": "a", "when": [text]}], default="b").conditions == [[expected]]


@pytest.mark.parametrize(
    "text", ["sugar", "sugar > ", "> 5", "sugar > heavy", "sugar => 5", "sugar > 1 > 2", "a > 1e99", 5]
)
def test_condition_is_refused_with_its_place_when_it_cannot_be_read(text):
    with pytest.raises(ConfigError) as caught:
        Rule([{"label": "a", "when": ["x > 1"]}, {"label": "a", "when": [text]}], default="b")
    assert str(caught.value) == (
        f"model.rules[1].when has {text!r}; a condition is COLUMN SIGN NUMBER with one of >= <= == != > <, e.g. "
        "'proline > 755'."
    )


@pytest.mark.parametrize(
    "rule",
    [
        {"label": "a"},
        {"when": ["x > 1"]},
        {"label": "a", "when": []},
        {"label": "a", "when": "x > 1"},
        {"label": "a", "when": ["x > 1"], "or": 1},
    ],
)
def test_rule_is_refused_when_it_lacks_a_part_or_has_another(rule):
    with pytest.raises(ConfigError) as caught:
        Rule([rule], default="b")
    assert str(caught.value) == f"model.rules[0] is {rule}; it must have a label, and when: a list of conditions."


def test_refusal_shows_a_rule_when_there_is_none():
    with pytest.raises(ConfigError) as caught:
        Rule()
    assert str(caught.value) == "model.rules is empty. Write e.g. model.rules=[{label: ripe, when: ['0 > 7.5']}]."


def test_refusal_lists_the_columns_when_a_rule_names_another(fruit, columns, iris, four):
    for name in ("colour", "2"):
        with pytest.raises(ConfigError) as caught:
            Rule([{"label": "ripe", "when": [f"{name} > 1"]}], default="unripe").fit(fruit, columns)
        assert str(caught.value) == (
            f"A rule reads the column {name}; the processor gives sugar, weight. Name one of them in model.rules."
        )
    with pytest.raises(ConfigError, match="the processor gives 0, 1, 2, 3"):
        Rule([{"label": "setosa", "when": ["4 > 1"]}], default="setosa").fit(iris, four)


def test_refusal_lists_the_labels_when_a_rule_gives_another(fruit, columns, diabetes):
    for rules, default, wrong in (([{**RULES[0], "label": "rotten"}], "ripe", "rotten"), (RULES, "", "")):
        with pytest.raises(ConfigError) as caught:
            Rule(rules, default=default).fit(fruit, columns)
        assert str(caught.value) == (
            f"A rule gives the label {wrong!r}; the data has melon, ripe, unripe. Set model.rules and model.default."
        )
    with pytest.raises(ConfigError, match=r"the data has none\."):
        Rule([{"label": "a", "when": ["0 > 1"]}], default="a").fit(diabetes, ArrayProcessor([10]))


def test_refusal_names_the_model_inputs_when_the_processor_gives_no_numbers(iris, text_processor):
    with pytest.raises(ConfigError) as caught:
        Rule([{"label": "setosa", "when": ["0 > 1"]}], default="setosa").fit(iris, text_processor)
    assert str(caught.value) == (
        "Rules read numbers or features; the text processor gives input_ids. Choose processor=tabular or "
        "processor=array."
    )


def test_refusal_names_fit_when_rules_have_not_met_the_data():
    with pytest.raises(ConfigError) as caught:
        Rule(RULES, default="unripe").outputs({"numbers": np.zeros((1, 2))})
    assert str(caught.value) == "The rules have not met the data yet. Call fit first."


def test_rules_answer_alike_when_an_earlier_maas_saved_them(fruit, columns, tmp_path):
    old = (
        '{"feed":"numbers","labels":3,"lines":[[1,[{"column":0,"sign":">","threshold":7.5},'
        '{"column":1,"sign":">=","threshold":80.0}]],[0,[{"column":1,"sign":">","threshold":150.0}]]],"default":2}'
    )
    (tmp_path / "source.json").write_text(old, encoding="utf-8")
    model, rows = Rule.load({}, tmp_path), [[8, 200], [2, 200], [2, 90], [8, 79]]
    assert labels(model, fruit, rows) == ["ripe", "melon", "unripe", "unripe"]
    assert model.table == Rule(RULES, default="unripe").fit(fruit, columns).table


def test_seconds_since_1970_differ_when_numbers_are_float64(fruit, written, tmp_path):
    """float32 holds every 128th second of 2026."""
    columns = TabularProcessor(numbers=["sugar", "weight"], double=True).fit(fruit.train.inputs)
    model = Rule([{"label": "ripe", "when": ["sugar > 1790000000", "weight == 0.1"]}], "melon").fit(fruit, columns)
    seconds = [1789999999.0, 1790000000.0, 1790000000.5, 1790000001.0]
    model_inputs = columns.batch(columns.preprocess([[one, 0.1] for one in seconds]))
    assert model_inputs["numbers"].dtype == np.float64
    assert model.outputs(model_inputs)[:, 1].tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(
        written(model, tmp_path, model_inputs).run(None, model_inputs)[0], model.outputs(model_inputs)
    )
    short = {"numbers": model_inputs["numbers"].astype(np.float32)}  # as of the array processor
    assert model.outputs(short)[:, 1].tolist() == [0, 0, 0, 0]
