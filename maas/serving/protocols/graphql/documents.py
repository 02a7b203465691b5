"""GraphQL documents: read, compared with the schema, and kept within limits before anything runs.

The cost of a query is the number of fields of its response, as far as the lengths of lists are known beforehand, and a
row of inputs counts as one. A query for the schema itself counts as much as a third of the most.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    ListValueNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import MaxIntrospectionDepthRule

from maas.serving.faults import CostlyQueryError, InvalidGraphqlError

MOST_CHARACTERS, MOST_TOKENS, MOST_FIELDS, MOST_LEVELS = 16 * 2**10, 2000, 150, 20
MOST_COST = 3000
_SCHEMA_COST = MOST_COST // 3
_SHOWN_ERRORS = 3
_ABOUT_SCHEMA = {"__schema", "__type"}


@dataclass(frozen=True)
class GraphqlDocument:
    """A document that fits the schema.

    Args:
        node: its syntax tree.
        fragments: its fragments by name.
    """

    node: DocumentNode
    fragments: Mapping[str, FragmentDefinitionNode]

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Returns an operation of the document.

        Args:
            name: of it; null where there is one.

        Raises:
            InvalidGraphqlError: there is none of that name, or there are several and no name.
        """
        found = get_operation_ast(self.node, name)
        if found is None:
            wanted = f"no operation {name!r}" if name else "several operations, and operationName names none"
            raise InvalidGraphqlError(f"The query has {wanted}. Name one that it has.")
        return found

    def is_about_schema(self, operation: OperationDefinitionNode) -> bool:
        """Whether an operation wants the schema, and nothing of the models.

        Raises:
            InvalidGraphqlError: it wants both.
        """
        names = {one.name.value for one in self._fields(operation.selection_set)} - {"__typename"}
        if names & _ABOUT_SCHEMA and names - _ABOUT_SCHEMA:
            raise InvalidGraphqlError("The query wants the schema and models; send a query of its own for the schema.")
        return bool(names & _ABOUT_SCHEMA)

    def _fields(self, selections: SelectionSetNode) -> Iterator[FieldNode]:
        for one in selections.selections:
            if isinstance(one, FieldNode):
                yield one
            else:
                yield from self._fields(self.inner(one))

    def inner(self, node: Node) -> SelectionSetNode:
        """Returns the fields of a fragment, wherever it is written."""
        if isinstance(node, FragmentSpreadNode):
            return self.fragments[node.name.value].selection_set
        if isinstance(node, InlineFragmentNode):
            return node.selection_set
        raise TypeError(f"{node} is no fragment.")


def read_document(query: str, schema: GraphQLSchema) -> GraphqlDocument:
    """Returns a query's document.

    Args:
        query: text of it.
        schema: that it has to fit.

    Raises:
        InvalidGraphqlError: it is no GraphQL, or does not fit.
        CostlyQueryError: it has more fields or levels than a query may have.
    """
    if len(query) > MOST_CHARACTERS:
        raise CostlyQueryError(
            f"The query has {len(query):,} characters; it may have {MOST_CHARACTERS:,}. Send inputs as variables."
        )
    try:
        node = parse(query, max_tokens=MOST_TOKENS)
        _require_size(node)
        errors = validate(schema, node, [*specified_rules, MaxIntrospectionDepthRule], max_errors=_SHOWN_ERRORS)
    except GraphQLSyntaxError as error:
        raise InvalidGraphqlError(f"The query is no GraphQL: {placed(error)}") from None
    except RecursionError:
        raise CostlyQueryError("The query is nested too deeply. Send a flatter one.") from None
    if errors:
        raise InvalidGraphqlError(" ".join(map(placed, errors[:_SHOWN_ERRORS])))
    fragments = {one.name.value: one for one in node.definitions if isinstance(one, FragmentDefinitionNode)}
    return GraphqlDocument(node, fragments)


def placed(error: GraphQLError) -> str:
    """Returns an error's message on one line, with the place in the query."""
    message = " ".join(error.message.split())
    if not error.locations:
        return message
    line, column = error.locations[0]
    return f"{message.rstrip('.')} (line {line}, column {column})."


@dataclass
class QueryCost:
    """Counts what an operation would give.

    Args:
        document: that has it.
        variables: values that it is sent with.
        models: number of deployments.
    """

    document: GraphqlDocument
    variables: Mapping[str, object]
    models: int
    _known: dict[tuple[int, int], int] = field(default_factory=dict)

    def require_modest(self, operation: OperationDefinitionNode) -> None:
        """Refuses an operation that would give more than one may.

        Raises:
            CostlyQueryError: it costs too much.
        """
        cost = self._of(operation.selection_set, 1)
        if cost > MOST_COST:
            raise CostlyQueryError(
                f"The query would give {cost:,} fields and rows; it may give {MOST_COST:,}. Want fewer fields, or send "
                "fewer inputs."
            )

    def _of(self, selections: SelectionSetNode, rows: int) -> int:
        """Returns the cost of some fields.

        Args:
            selections: where they are.
            rows: number of inputs of the field above.
        """
        return sum(self._of_selection(one, rows) for one in selections.selections)

    def _of_selection(self, node: Node, rows: int) -> int:
        if not isinstance(node, FieldNode):
            fragment = self.document.inner(node)
            if (id(fragment), rows) not in self._known:
                self._known[id(fragment), rows] = self._of(fragment, rows)
            return self._known[id(fragment), rows]
        name = node.name.value
        if name in _ABOUT_SCHEMA:
            return _SCHEMA_COST
        inputs = self._inputs(node)
        inner = self._of(node.selection_set, inputs or rows) if node.selection_set else 0
        return 1 + inputs + inner * {"predictions": rows, "models": self.models}.get(name, 1)

    def _inputs(self, node: FieldNode) -> int:
        """Returns the number of inputs that a field is given."""
        for argument in node.arguments or ():
            if argument.name.value == "inputs":
                value = argument.value
                if isinstance(value, ListValueNode):
                    return len(value.values)
                given = self.variables.get(value.name.value) if isinstance(value, VariableNode) else None
                return len(given) if isinstance(given, list) else 1
        return 0


def _require_size(node: DocumentNode) -> None:
    """Refuses a document with too many fields or levels, before they are compared with the schema.

    Raises:
        CostlyQueryError: with what it has.
    """
    fields, waiting = 0, [(one, 0) for one in node.definitions if hasattr(one, "selection_set")]
    while waiting:
        one, level = waiting.pop()
        fields += isinstance(one, FieldNode)
        selections = getattr(one, "selection_set", None)
        if selections is not None:
            waiting += [(inner, level + 1) for inner in selections.selections]
        if fields > MOST_FIELDS or level > MOST_LEVELS:
            raise CostlyQueryError(
                f"The query has more than {MOST_FIELDS} fields or {MOST_LEVELS} levels. Send several smaller ones."
            )
