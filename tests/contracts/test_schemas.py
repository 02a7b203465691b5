"""The JSON Schemas that ship are those of the types, and a made bundle keeps them."""

import json

import jsonschema
import pytest

from maas.records.schemas import RECORD_TYPES, SCHEMA_FOLDER, schema_bytes


@pytest.mark.parametrize("name", RECORD_TYPES)
def test_schema_file_equals_what_the_types_give_when_it_is_written_again(name):
    path = SCHEMA_FOLDER / f"{name}.schema.json"
    assert path.read_bytes() == schema_bytes(name), "run python -m maas.records.schemas"


def test_every_schema_file_has_a_type_when_the_folder_is_listed():
    assert {path.name for path in SCHEMA_FOLDER.glob("*.json")} == {f"{name}.schema.json" for name in RECORD_TYPES}


@pytest.mark.parametrize("name", RECORD_TYPES)
def test_file_keeps_its_schema_when_a_bundle_was_made(name, line):
    schema = json.loads((SCHEMA_FOLDER / f"{name}.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    content = json.loads((line.bundle.folder / f"{name}.json").read_bytes())
    jsonschema.validate(content, schema, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", RECORD_TYPES)
@pytest.mark.parametrize("damage", ["unknown", "missing", "wrong"])
def test_schema_refuses_a_file_when_a_key_is_unknown_missing_or_of_another_type(name, damage, line):
    schema = json.loads((SCHEMA_FOLDER / f"{name}.schema.json").read_bytes())
    content = json.loads((line.bundle.folder / f"{name}.json").read_bytes())
    if damage == "unknown":
        content["novelty"] = 1
    elif damage == "missing":
        del content["schema_version"]
    else:
        content["schema_version"] = "one"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema, cls=jsonschema.Draft202012Validator)
