"""The OpenAPI document: what it tells of, and that its examples work."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import Served, serving


@pytest.fixture(scope="module")
async def documented() -> AsyncIterator[Served]:
    async with serving(backend="tests.documented:DocumentedBackend") as served:
        yield served


async def _document(served: Served) -> dict[str, Any]:
    response = await served.rest.get("/openapi.json")
    document: dict[str, Any] = response.json()
    return document


async def test_every_example_works(documented: Served) -> None:
    for path, operations in (await _document(documented))["paths"].items():
        for verb, operation in operations.items():
            names = {p["name"]: p["example"] for p in operation["parameters"] if "example" in p}
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in content.get("examples", {"none": {"value": None}}).values():
                body = {} if example["value"] is None else {"json": example["value"]}
                response = await documented.rest.request(verb.upper(), path.format(**names), **body)
                assert response.status_code in {200, 307}, (verb, path, names, response.text)


async def test_every_operation_says_what_it_is(documented: Served) -> None:
    document = await _document(documented)
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    tags = [tag["name"] for tag in document["tags"]]
    assert tags == ["Typed API", "TensorFlow Serving", "Open Inference Protocol", "Operations"]
    assert {tag for operation in operations for tag in operation["tags"]} == set(tags)
    assert len({operation["operationId"] for operation in operations}) == len(operations) == 39
    assert all(operation["summary"] for operation in operations)


@pytest.mark.parametrize(
    ("path", "status", "schema"),
    [
        ("/api/v1/models/{model}", "422", "Problem"),
        ("/v1/models/{model}:predict", "400", "TfServingError"),
        ("/v2/models/{model}/infer", "400", "OpenInferenceError"),
    ],
)
async def test_errors_are_those_of_the_family(documented: Served, path: str, status: str, schema: str) -> None:
    [operation] = (await _document(documented))["paths"][path].values()
    [content] = operation["responses"][status]["content"].values()
    assert content["schema"] == {"$ref": f"#/components/schemas/{schema}"}
    assert ("422" in operation["responses"]) == (schema == "Problem")


async def test_a_model_that_cannot_be_had_has_no_example() -> None:
    async with serving() as served:
        document = await _document(served)
    labelled = document["paths"]["/v1/models/{model}/labels/{label}:predict"]["post"]
    assert {p["name"]: p.get("example") for p in labelled["parameters"][:2]} == {"model": "double", "label": None}
    assert "examples" not in document["paths"]["/v1/models/{model}:regress"]["post"]["requestBody"]["content"]
