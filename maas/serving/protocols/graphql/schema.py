"""The GraphQL schema of what is served, as a text: each model is a field, typed by its rows and its predictions.

Rows of numbers, pictures and sounds are `JSON`: GraphQL would look at each number of them. A model whose name is none
of GraphQL's, or is that of another field, is reached by `predict`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from maas.serving.repository import PredictingDeployment, Snapshot

_NAME = re.compile(r"[A-Za-z][_A-Za-z0-9]*").fullmatch
_BASE = """
"Any JSON value."
scalar JSON

"A version of a model."
type Model {
  name: String!
  version: String!
  "Other names of this version, such as aliases of the registry."
  labels: [String!]!
  task: String!
  "Its classes; empty where it gives values."
  classes: [String!]!
  inputs: [Tensor!]!
  outputs: [Tensor!]!
  "The JSON Schema of one input."
  rowSchema: JSON!
}

"A size of -1 may be any."
type Tensor {
  name: String!
  datatype: String!
  shape: [Int!]!
}

"What any model gives for some inputs."
type Predictions {
  model: String!
  version: String!
  predictions: [JSON!]!
  "The model's plain numbers for each input."
  scores: JSON!
  "The scores of each input by label: the best topK, or all in the labels' order."
  labelScores(topK: Int): [JSON!]!
}
"""
_QUERY = """
type Query {{
  "All versions of all models."
  models: [Model!]!
  "The version that answers where none is named, or the one that is."
  model(name: String, version: String): Model
  "Predictions of any model; the default one answers where none is named."
  predict(inputs: [JSON!]!, model: String, version: String): Predictions
{fields}
}}
"""
_FIELD = """  {description}
  {field}(inputs: [{row}!]!, version: String): {name}Predictions"""
_TYPES = """
type {name}Predictions {{
  model: String!
  version: String!
  predictions: [{name}Prediction!]!
  scores: JSON!{label_scores}
}}

type {name}Prediction {{
{predicted}
}}
"""
_LABEL_SCORES = "\n  labelScores(topK: Int): [JSON!]!"
_TYPE_NAMES: dict[type, str] = {str: "String!", bool: "Boolean!", float: "Float!"}


@dataclass(frozen=True)
class SchemaText:
    """A schema.

    Args:
        text: in GraphQL's own language.
        models: name of the model of each field that a model has.
    """

    text: str
    models: Mapping[str, str]


def schema_text(snapshot: Snapshot) -> SchemaText:
    """Returns the schema of the models of a snapshot; of a model's versions the default one types its field."""
    fields: dict[str, PredictingDeployment] = {}
    taken = {"models", "model", "predict"}
    for one in (snapshot.by_name[name] for name in dict.fromkeys(one.name for one in snapshot.predicting)):
        field = re.sub(r"[-. ]", "_", one.name)
        if _NAME(field) and field.lower() not in taken:
            taken.add(field.lower())
            fields[field] = one
    types = [part for field, one in fields.items() for part in _types(field, one)]
    listed = "\n".join(_field(field, one) for field, one in fields.items())
    text = "".join([_BASE, *types, _QUERY.format(fields=listed)])
    return SchemaText(text, {field: one.name for field, one in fields.items()})


def _field(field: str, deployment: PredictingDeployment) -> str:
    description = json.dumps(f"{deployment.task}, by {deployment.name}")
    return _FIELD.format(description=description, field=field, row=_row(field, deployment), name=_type_name(field))


def _types(field: str, deployment: PredictingDeployment) -> Iterator[str]:
    """Yields the types of a model's predictions, and of its rows where they have columns."""
    name, example = _type_name(field), deployment.bundle.golden.predictions[0]
    predicted = {key: _TYPE_NAMES.get(type(value), "JSON") for key, value in example.items() if _NAME(key)}
    label_scores = _LABEL_SCORES if deployment.postprocessor.labels else ""
    yield _TYPES.format(name=name, predicted=_listed(predicted), label_scores=label_scores)
    if columns := _columns(deployment):
        yield f"\ninput {name}Row {{\n{_listed(columns)}\n}}\n"


def _row(field: str, deployment: PredictingDeployment) -> str:
    if _columns(deployment):
        return f"{_type_name(field)}Row"
    return "String" if deployment.processor.row_schema.get("type") == "string" else "JSON"


def _columns(deployment: PredictingDeployment) -> dict[str, str]:
    """Returns the type of each column; none where a row has no columns, or a name of one is none of GraphQL's."""
    schema = deployment.processor.row_schema
    columns = schema.get("properties", {})
    if not all(map(_NAME, columns)):
        return {}
    required = set(schema.get("required", ()))
    return {name: _column(column) + "!" * (name in required) for name, column in columns.items()}


def _column(schema: Mapping[str, object]) -> str:
    found = schema.get("type")
    kinds = set(found if isinstance(found, list) else [found]) - {"null"}
    return {"number": "Float", "string": "String"}.get(kinds.pop(), "JSON") if len(kinds) == 1 else "JSON"


def _listed(fields: Mapping[str, str]) -> str:
    return "\n".join(f"  {name}: {kind}" for name, kind in fields.items())


def _type_name(field: str) -> str:
    return field[0].upper() + field[1:]
