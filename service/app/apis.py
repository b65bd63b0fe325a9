"""The protocols, made for one server: what each of them answers over REST and over gRPC."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from service.app.dependencies import Dependencies
from service.protocols.native import openapi as native_openapi
from service.protocols.native.classify import Classifier
from service.protocols.native.forecast import SeriesForecaster
from service.protocols.native.grpc import NativeGrpc
from service.protocols.native.labels import ModelLabels
from service.protocols.native.rest import NativeRest
from service.protocols.open_inference import errors as open_inference_errors
from service.protocols.open_inference import openapi as open_inference_openapi
from service.protocols.open_inference.grpc import OpenInferenceGrpc
from service.protocols.open_inference.inference import Inference
from service.protocols.open_inference.models import ServedModels
from service.protocols.open_inference.rest import OpenInferenceRest
from service.protocols.tfserving import errors as tfserving_errors
from service.protocols.tfserving import openapi as tfserving_openapi
from service.protocols.tfserving.grpc import ModelService, PredictionService
from service.protocols.tfserving.rest import TfServingRest
from service.seam import problem
from service.seam.grpc import GrpcService
from service.seam.http import RestApi
from service.transport.grpc.status import status
from service.transport.openapi import PROBLEM, Fragment


@dataclass(frozen=True, slots=True)
class Api:
    """One protocol.

    Attributes:
        rest: Its paths.
        grpc: Its services.
        openapi: Its part of the OpenAPI document.
    """

    rest: RestApi
    grpc: Sequence[GrpcService]
    openapi: Fragment


def apis(parts: Dependencies, accepting: Callable[[], bool]) -> list[Api]:
    """Makes the typed API, TensorFlow Serving's, and the Open Inference Protocol.

    Args:
        parts: Of the server.
        accepting: Returns whether the server admits requests.
    """
    return [_native(parts), _tfserving(parts), _open_inference(parts, accepting)]


def _native(parts: Dependencies) -> Api:
    engine, catalog, bounds = parts.engine, parts.catalog, parts.bounds
    classifier = Classifier(engine, max_image_pixels=parts.settings.max_image_pixels)
    forecaster = SeriesForecaster(engine)
    labels = ModelLabels(engine=engine, catalog=catalog, control=parts.control)
    rest = NativeRest(engine, catalog, bounds, classifier, forecaster, labels)
    grpc = NativeGrpc(engine, catalog, bounds, classifier, forecaster, labels, status_of=status)
    openapi = Fragment(partial(native_openapi.fragment, catalog), problem.STATUS, PROBLEM)
    return Api(rest.api(), [grpc.service()], openapi)


def _tfserving(parts: Dependencies) -> Api:
    engine, catalog, bounds = parts.engine, parts.catalog, parts.bounds
    rest = TfServingRest(engine=engine, catalog=catalog, bounds=bounds)
    prediction = PredictionService(engine, bounds=bounds, tensor_content=parts.settings.tensor_content)
    models = ModelService(catalog, parts.control)
    read = partial(tfserving_openapi.fragment, catalog)
    openapi = Fragment(read, tfserving_errors.STATUS, tfserving_openapi.ERROR)
    return Api(rest.api(), [prediction.service(), models.service()], openapi)


def _open_inference(parts: Dependencies, accepting: Callable[[], bool]) -> Api:
    engine, catalog, bounds = parts.engine, parts.catalog, parts.bounds
    models = ServedModels(engine=engine, catalog=catalog, control=parts.control, bounds=bounds, accepting=accepting)
    inference = Inference(engine=engine, models=models)
    rest = OpenInferenceRest(models=models, inference=inference, bounds=bounds).api()
    grpc = OpenInferenceGrpc(models=models, inference=inference, bounds=bounds)
    probes = frozenset(route.template for route in rest.routes if route.is_probe)
    read = partial(open_inference_openapi.fragment, catalog)
    openapi = Fragment(read, open_inference_errors.STATUS, open_inference_openapi.ERROR, probes)
    return Api(rest, [grpc.service()], openapi)
