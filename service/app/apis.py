"""The protocols, made for one server: what each of them answers over REST and over gRPC."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from service.app.dependencies import Dependencies
from service.core.call import Call
from service.core.rights import Access
from service.core.visibility import Models, SeenModels
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
    engine, models, bounds = parts.engine, parts.models, parts.bounds
    classifier = Classifier(engine, max_image_pixels=parts.settings.max_image_pixels)
    forecaster = SeriesForecaster(engine)
    labels = ModelLabels(engine=engine, models=models, control=parts.control)
    rest = NativeRest(engine, models, bounds, classifier, forecaster, labels, parts.rollouts, parts.shadows)
    grpc = NativeGrpc(
        engine, models, bounds, classifier, forecaster, labels, parts.rollouts, parts.shadows, status_of=status
    )
    openapi = Fragment(_shown(native_openapi.fragment, models), problem.STATUS, PROBLEM, shared=native_openapi.SHARED)
    return Api(rest.api(), [grpc.service()], openapi)


def _tfserving(parts: Dependencies) -> Api:
    engine, models, bounds = parts.engine, parts.models, parts.bounds
    rest = TfServingRest(engine=engine, models=models, bounds=bounds)
    prediction = PredictionService(engine, bounds=bounds, tensor_content=parts.settings.tensor_content)
    service = ModelService(models, parts.control)
    read = _shown(tfserving_openapi.fragment, models)
    openapi = Fragment(read, tfserving_errors.STATUS, tfserving_openapi.ERROR, shared=tfserving_openapi.SHARED)
    return Api(rest.api(), [prediction.service(), service.service()], openapi)


def _open_inference(parts: Dependencies, accepting: Callable[[], bool]) -> Api:
    engine, models, bounds = parts.engine, parts.models, parts.bounds
    served = ServedModels(engine=engine, models=models, control=parts.control, bounds=bounds, accepting=accepting)
    inference = Inference(engine=engine, models=served)
    rest = OpenInferenceRest(models=served, inference=inference, bounds=bounds).api()
    grpc = OpenInferenceGrpc(models=served, inference=inference, bounds=bounds)
    probes = frozenset(route.template for route in rest.routes if route.is_probe)
    read = _shown(open_inference_openapi.fragment, models)
    openapi = Fragment(
        read, open_inference_errors.STATUS, open_inference_openapi.ERROR, probes, open_inference_openapi.SHARED
    )
    return Api(rest, [grpc.service()], openapi)


def _shown(fragment: Callable[[SeenModels], dict[str, Any]], models: Models) -> Callable[[Call], dict[str, Any]]:
    """Returns what makes a part of the document, with examples for models that who asks for it may read."""
    return lambda call: fragment(models.of(call, Access.READ))
