"""JSON Schema of what `/invocations` takes: a model's rows in MLflow's four forms."""

from maas.serving.protocols.operation_documents import JsonSchema
from maas.serving.protocols.parameters import SCORES_PROPERTIES
from maas.serving.protocols.schemas import cells_schema, instance_schema, object_schema, one_of_forms
from maas.serving.repository import PredictingDeployment


def invocation_schema(deployment: PredictingDeployment) -> JsonSchema:
    """Returns the schema of a body for a model."""
    rows: JsonSchema = {"type": "array", "minItems": 1, "items": instance_schema(deployment)}
    specs = deployment.signature.inputs
    by_name = {**object_schema(**{specs[0].name: rows}), "additionalProperties": False}
    params = {
        "type": ["object", "null"],
        "properties": SCORES_PROPERTIES if deployment.postprocessor.labels else {},
        "additionalProperties": False,
    }
    forms = {
        "dataframe_split": _split_schema(deployment),
        "dataframe_records": {"type": "array", "minItems": 1, "items": _record_schema(deployment)},
        "instances": rows,
        "inputs": rows if len(specs) > 1 else {"anyOf": [rows, by_name]},  # columns of one length cannot be written
    }
    return one_of_forms(forms, {"params": params})


def _split_schema(deployment: PredictingDeployment) -> JsonSchema:
    """Returns the schema of a table with the names of its columns and a list of values for each row."""
    cells, names = _cells_schema(deployment), _names_schema(deployment)
    properties = {
        "columns": {**names, "type": ["array", "null"]},
        "index": {"type": ["array", "null"], "items": {}},
        "data": {"type": "array", "minItems": 1, "items": cells},
    }
    return {"type": "object", "required": ["data"], "properties": properties, "additionalProperties": False}


def _cells_schema(deployment: PredictingDeployment) -> JsonSchema:
    """Returns the schema of a row's values: one a column, or those that are the model's only input."""
    row, specs = deployment.processor.row_schema, deployment.signature.inputs
    if len(specs) > 1:
        return cells_schema(deployment)
    if _is_row_of_numbers(deployment):
        return row
    return {"type": "array", "items": row, "minItems": 1, "maxItems": 1}


def _names_schema(deployment: PredictingDeployment) -> dict[str, object]:
    """Returns the schema of the names of a table's columns; those of a row of numbers may be any."""
    specs = deployment.signature.inputs
    if len(specs) > 1:
        names = [{"type": "string", "const": spec.name} for spec in specs]
        return {"prefixItems": names, "minItems": len(specs), "maxItems": len(specs)}
    width = specs[0].shape[1] if _is_row_of_numbers(deployment) else 1
    return {"items": {"type": ["string", "integer"]}, "uniqueItems": True, "minItems": width, "maxItems": width}


def _record_schema(deployment: PredictingDeployment) -> JsonSchema:
    """Returns the schema of a row by column."""
    row, specs = deployment.processor.row_schema, deployment.signature.inputs
    if len(specs) > 1:
        return row
    width, value = (specs[0].shape[1], row["items"]) if _is_row_of_numbers(deployment) else (1, row)
    return {"type": "object", "additionalProperties": value, "minProperties": width, "maxProperties": width}


def _is_row_of_numbers(deployment: PredictingDeployment) -> bool:
    specs = deployment.signature.inputs
    return len(specs[0].shape) == 2 and deployment.processor.row_schema.get("type") == "array"
