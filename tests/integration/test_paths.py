"""Paths that there are not: where it goes from there."""

import pytest

from tests.conftest import Served


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/healthz", "the probes /livez and /readyz"),
        ("/invocations", "POST /v1/models/{model}:predict"),
        ("/v2/models/", "/v2/models"),
        ("/livez/", "/livez"),
    ],
)
async def test_a_path_that_is_nearly_right_names_the_right_one(served: Served, path: str, meant: str) -> None:
    response = await served.rest.get(path)
    assert response.status_code == 404
    assert f"you may want {meant};" in response.text


@pytest.mark.parametrize(("verb", "path"), [("GET", "/v1/models"), ("POST", "/v1/models/shades/predict")])
async def test_upstreams_words_have_the_right_paths_beside_them(served: Served, verb: str, path: str) -> None:
    response = await served.rest.request(verb, path)
    assert response.status_code == 400
    assert "/v1/models/{model}" in response.json()["details"][0]["expected"]
