"""The OpenAPI document as a program reads it that makes a client from it."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

METHODS = {"get", "post", "put", "patch", "delete"}
SAYS_WHAT = {"type", "$ref", "anyOf", "allOf", "oneOf", "const", "enum"}
HOLDS_SCHEMAS = {"properties", "$defs", "schemas"}  # by name
HOLDS_CHOICES = {"anyOf", "allOf", "oneOf", "prefixItems"}
HOLDS_ONE = {"schema", "items", "additionalProperties"}


@pytest.fixture
def document(client: httpx.Client) -> dict[str, Any]:
    """The document of a server that runs."""
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document["paths"].values():
        yield from (operation for method, operation in item.items() if method in METHODS)


def schemas(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every schema in the document, with its place; examples are none."""
    if isinstance(node, list):
        for each in node:
            yield from schemas(each, where)
    if not isinstance(node, dict):
        return
    for name, inner in node.items():
        place = f"{where}/{name}"
        if name in HOLDS_ONE and isinstance(inner, dict):
            yield place, inner
        elif name in HOLDS_SCHEMAS and isinstance(inner, dict):
            yield from ((f"{place}/{each}", schema) for each, schema in inner.items())
        elif name in HOLDS_CHOICES:
            yield from ((place, schema) for schema in inner)
        if name not in {"example", "examples"}:
            yield from schemas(inner, place)


def test_the_document_is_one_of_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert [str(error) for error in OPENAPI_31_VALIDATOR.iter_errors(document)] == []


def test_every_schema_is_one_of_json_schema(document: dict[str, Any]) -> None:
    for _, schema in schemas(document):
        jsonschema.Draft202012Validator.check_schema(schema)


def test_operations_are_named_by_what_they_do_and_each_by_another_name(
    document: dict[str, Any],
) -> None:
    names = Counter(operation["operationId"] for operation in operations(document))
    assert [name for name, n in names.items() if n > 1] == []
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []
    assert [name for name in names if re.search(r"_v1_|_(get|post|put|patch)$", name)] == []


def test_every_shape_has_a_name_that_a_program_can_use(document: dict[str, Any]) -> None:
    shapes = document["components"]["schemas"]
    assert {name: shape.get("title") for name, shape in shapes.items()} == {n: n for n in shapes}
    assert [name for name in shapes if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []
    unnamed = [
        where
        for where, schema in schemas(document["paths"])
        if schema.get("type") == "object" and "title" not in schema
    ]
    assert unnamed == []


def test_no_schema_says_nothing(document: dict[str, Any]) -> None:
    found = list(schemas(document))
    assert len(found) > 300
    assert [where for where, schema in found if not SAYS_WHAT & schema.keys()] == []


def test_every_body_that_is_sent_or_answered_says_what_it_is(document: dict[str, Any]) -> None:
    for operation in operations(document):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for body in [*bodies, *operation["responses"].values()]:
            for kind, content in body.get("content", {}).items():
                assert "schema" in content, (operation["operationId"], kind)


def test_examples_fit_the_schemas_nulls_included(document: dict[str, Any]) -> None:
    shapes = document["components"]["schemas"]
    shown = [(name, each) for name, shape in shapes.items() for each in shape.get("examples", [])]
    assert len(shown) > 50
    for name, example in shown:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(example)
