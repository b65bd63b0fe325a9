"""The typed API's answers as protobuf."""

from service.schemas import ClassifyResponse, ForecastResponse, ModelInfo
from tensorgate.v1 import tensorgate_pb2 as pb


def classify_response(answer: ClassifyResponse) -> pb.ClassifyResponse:
    """Returns the classes of images."""
    return pb.ClassifyResponse(
        model=answer.model,
        version=answer.version,
        results=[
            pb.Classification(
                classes=[pb.ScoredClass(label=scored.label, score=scored.score) for scored in result.classes],
                ood_score=result.ood_score,
            )
            for result in answer.results
        ],
    )


def forecast_response(answer: ForecastResponse) -> pb.ForecastResponse:
    """Returns the forecasts of series."""
    return pb.ForecastResponse(
        model=answer.model,
        version=answer.version,
        forecasts=[
            pb.SeriesForecast(
                values=forecast.values,
                quantiles=[
                    pb.QuantileForecast(level=quantile.level, values=quantile.values) for quantile in forecast.quantiles
                ],
            )
            for forecast in answer.forecasts
        ],
    )


def model_message(model: ModelInfo) -> pb.Model:
    """Returns the model as a message: its fields have the same names."""
    fields = model.model_dump(exclude_none=True)
    for split in fields["splits"].values():
        split["weights"] = {int(version): weight for version, weight in split["weights"].items()}
    for version in fields["versions"]:
        for signature in version["signatures"]:
            for tensor in (*signature["inputs"], *signature["outputs"]):
                tensor["unknown_rank"] = "shape" not in tensor
    return pb.Model(**fields)
