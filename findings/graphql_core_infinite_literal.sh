#!/usr/bin/env bash
# graphql-core reads 1e400 in a query as infinity and hands that to resolvers; the same number as a variable is refused,
# as is infinity in a reply. GraphQL's specification (Float, input coercion) wants a request error: the value has no
# finite IEEE 754 number. So it is in 3.3.2 and in 3.2.14.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/try.py" <<'PY'
import importlib.metadata
import sys

from graphql import build_schema, graphql_sync

schema = build_schema("type Query { given(number: Float): String, same(number: Float): Float }")
root = {"given": lambda _info, number: repr(number), "same": lambda _info, number: number}


def ask(query, **variables):
    return graphql_sync(schema, query, root, variable_values=variables)


print("graphql-core", importlib.metadata.version("graphql-core"))
literal = ask("{ given(number: 1e400) }")
variable = ask("query ($number: Float) { given(number: $number) }", number=float("1e400"))
echo = ask("{ same(number: 1e400) }")
print("expected: an error, as for the variable:", variable.errors[0].message)
print("seen:     the resolver is given", literal.data["given"], "without an error; a reply refuses it:", echo.errors[0].message)
is_so = literal.errors is None and literal.data == {"given": "inf"} and variable.data is None and echo.errors
sys.exit(0 if is_so else 1)
PY
for version in 3.3.2 3.2.14; do
    "$folder/venv/bin/pip" install --quiet "graphql-core==$version"
    "$folder/venv/bin/python" "$folder/try.py"
done
