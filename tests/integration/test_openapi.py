"""The OpenAPI document: what it lists, and that its examples work."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from service.codecs.open_inference import DTYPES
from service.core.catalog import Catalog
from service.core.model_version import State
from service.protocols.tfserving import openapi
from tests.conftest import Served, serving

Json = dict[str, Any]


@pytest.fixture(scope="module")
async def documented() -> AsyncIterator[Served]:
    async with serving(backend="tests.documented:DocumentedBackend") as served:
        yield served


async def _document(served: Served) -> Json:
    response = await served.rest.get("/openapi.json")
    document: Json = response.json()
    return document


def _found(document: Json, value: Json) -> Json:
    """Returns the component that a reference means, or what is no reference."""
    if "$ref" not in value:
        return value
    _, _, kind, name = value["$ref"].split("/")
    component: Json = document["components"][kind][name]
    return component


def _operations(document: Json) -> Iterator[tuple[str, str, Json, list[Json]]]:
    """Yields verb, path, operation and parameters of each."""
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            yield verb, path, operation, [_found(document, parameter) for parameter in operation["parameters"]]


async def test_every_example_works(documented: Served) -> None:
    document = await _document(documented)
    for verb, path, operation, parameters in _operations(document):
        names = {parameter["name"]: parameter["example"] for parameter in parameters if "example" in parameter}
        body = _found(document, operation.get("requestBody", {})).get("content", {}).get("application/json", {})
        examples = [example["value"] for example in body.get("examples", {}).values()] or [body.get("example")]
        for example in examples:
            sent = {} if example is None else {"json": example}
            response = await documented.rest.request(verb.upper(), path.format(**names), **sent)
            assert response.status_code == 200, (verb, path, names, response.text)


async def test_the_version_and_the_session_of_requests_that_versions_share_are_named(documented: Served) -> None:
    document = await _document(documented)
    shared = 0
    for verb, path, operation, parameters in _operations(document):
        takes = "X-Tensorgate-Session" in {parameter["name"] for parameter in parameters}
        is_inference = path.endswith((":predict", ":classify", ":regress", "/infer", "/classify", "/forecast"))
        assert takes or not is_inference or "{version}" in path, (verb, path)
        if takes:
            shared += 1
            assert "X-Tensorgate-Model-Version" in _found(document, operation["responses"]["200"])["headers"], path
    assert shared > 10


async def test_every_operation_says_what_it_is(documented: Served) -> None:
    document = await _document(documented)
    operations = [operation for _, _, operation, _ in _operations(document)]
    tags = [tag["name"] for tag in document["tags"]]
    assert tags == ["Typed API", "TensorFlow Serving", "Open Inference Protocol", "Operations"]
    assert {tag for operation in operations for tag in operation["tags"]} == set(tags)
    assert len({operation["operationId"] for operation in operations}) == len(operations) == 46
    assert all(operation["summary"] for operation in operations)


async def test_every_request_has_an_id_and_those_that_are_limited_a_timeout(documented: Served) -> None:
    document = await _document(documented)
    for _, path, operation, parameters in _operations(document):
        names = {parameter["name"] for parameter in parameters}
        limited = path.startswith(("/api/", "/v1/", "/v2")) and not path.startswith("/v2/health/")
        assert names >= {"X-Request-Id"}
        assert ("X-Request-Timeout" in names) == limited
        for response in operation["responses"].values():
            assert "X-Request-Id" in _found(document, response)["headers"]


@pytest.mark.parametrize(
    ("path", "status", "schema"),
    [
        ("/api/v1/models/{model}/forecast", "422", "Problem"),
        ("/v1/models/{model}:predict", "400", "TfServingError"),
        ("/v2/models/{model}/infer", "400", "OpenInferenceError"),
    ],
)
async def test_errors_are_those_of_the_family(documented: Served, path: str, status: str, schema: str) -> None:
    document = await _document(documented)
    responses = document["paths"][path]["post"]["responses"]
    assert "invalid_input" in responses[status]["description"]
    [content] = _found(document, responses[status])["content"].values()
    assert content["schema"] == {"$ref": f"#/components/schemas/{schema}"}
    assert ("422" in responses) == (schema == "Problem")


async def test_the_data_name_what_the_code_knows(documented: Served) -> None:
    schemas = (await _document(documented))["components"]["schemas"]
    assert schemas["OpenInferenceDatatype"]["enum"] == list(DTYPES)
    states = [state.value for state in State]
    [versions] = schemas["TfServingStatusResponse"]["properties"].values()
    assert versions["items"]["properties"]["state"]["enum"] == [state for state in states if state != State.STANDBY]
    models = schemas["Readiness"]["properties"]["models"]["additionalProperties"]
    assert models["properties"]["versions"]["additionalProperties"]["properties"]["state"]["enum"] == states


async def test_optional_fields_may_stand_in_the_query_and_no_field_in_the_path_elsewhere(documented: Served) -> None:
    document = await _document(documented)
    parameters = document["paths"]["/api/v1/models/{model}/classify"]["post"]["parameters"]
    places = {parameter["name"]: parameter["in"] for parameter in parameters if "name" in parameter}
    assert places == {"model": "path", "version": "query", "label": "query", "top_k": "query"}
    fields = document["components"]["schemas"]["ClassifyRequest"]["properties"]
    assert set(fields) == {"version", "label", "top_k", "images"}


def test_without_models_the_examples_are_those_of_the_data() -> None:
    part = openapi.fragment(Catalog())["components"]
    assert "example" not in part["parameters"]["TfServingModel"]
    assert part["requestBodies"]["TfServingPredict"]["content"]["application/json"]["example"] == {
        "instances": [1.0, 2.0, 5.0]
    }
