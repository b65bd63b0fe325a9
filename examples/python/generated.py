"""A typed client over REST that a generator wrote: of the server's own OpenAPI document.

pip install openapi-python-client
openapi-python-client generate --url http://127.0.0.1:8000/openapi.json --meta none --output-path generated_client
python generated.py
"""

import sys

from generated_client import Client
from generated_client.api.typed_api import classify, forecast, list_models
from generated_client.models import (
    ClassifyRequest,
    ForecastRequest,
    ForecastResponse,
    ImageInput,
    ListModelsResponse,
    Problem,
)


def main(address: str) -> None:
    """Lists the models, asks for a forecast, and has a picture of a wrong size refused."""
    with Client(base_url=address) as client:
        models = list_models.sync(client=client)
        assert isinstance(models, ListModelsResponse)
        for model in models.models:
            print(model.name, model.versions[0].version)
        series = ForecastRequest(series=[[float(50 + step % 11) for step in range(200)]], horizon=3)
        answer = forecast.sync("sunspots", client=client, body=series)
        assert isinstance(answer, ForecastResponse)
        print(" ".join(f"{value:.1f}" for value in answer.forecasts[0].values))
        refused = classify.sync("digits", client=client, body=ClassifyRequest(images=[ImageInput(pixels=[[0, 255]])]))
        if isinstance(refused, Problem):  # what is wrong, where, what was expected and what came
            for error in refused.errors:
                print(refused.code, error.where, "|", error.expected, "|", error.got)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
