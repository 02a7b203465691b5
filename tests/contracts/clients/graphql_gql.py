"""Sends rows with gql, which checks queries by the server's schema: `graphql_gql.py URL FILE`."""

import json
import sys
from pathlib import Path

import numpy as np
from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXTransport

known = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
numbers, texts, table = known["numbers"], known["texts"], known["table"]
QUERIES = {
    "digits": "query ($rows: [JSON!]!) { digits(inputs: $rows) { predictions { label } scores } }",
    "sentiment": "query ($rows: [String!]!) { sentiment(inputs: $rows) { predictions { label score } scores } }",
    "sums": "query ($rows: [SumsRow!]!) { sums(inputs: $rows) { predictions { value } } }",
}
client = Client(transport=HTTPXTransport(f"{sys.argv[1]}/graphql"), fetch_schema_from_transport=True)


def refused(session: object, query: str, **variables: object) -> dict:
    try:
        session.execute(GraphQLRequest(query, variable_values=variables))
    except TransportQueryError as error:
        return error.errors[0]
    raise AssertionError(f"{query} was answered")


with client as session:

    def predicted(model: str, rows: list) -> dict:
        return session.execute(GraphQLRequest(QUERIES[model], variable_values={"rows": rows}))[model]

    found = predicted("digits", numbers["rows"])
    np.testing.assert_allclose(found["scores"], numbers["scores"], rtol=1e-6, atol=1e-6)
    assert [one["label"] for one in found["predictions"]] == numbers["labels"]
    for rows in (texts["rows"], texts["rows"][:1]):
        scores = predicted("sentiment", rows)["scores"]
        np.testing.assert_allclose(scores, texts["scores"][: len(rows)], rtol=1e-6, atol=1e-6)
    found = predicted("sums", table["rows"])
    np.testing.assert_allclose([one["value"] for one in found["predictions"]], table["values"], rtol=1e-6)
    several = session.execute(gql('{ a: model(name: "sums") { name } models { name inputs { shape } } }'))
    assert several["a"]["name"] == "sums"
    assert several["models"][0] == {"name": "digits", "inputs": [{"shape": [-1, 64]}]}
    error = refused(session, QUERIES["digits"], rows=[[1, 2]])
    assert error["message"] == "Row 0 has shape [2]; the model takes [64]."
    assert error["extensions"]["code"] == "invalid_input"
print(*(len(one["rows"]) for one in (numbers, texts, table)))
