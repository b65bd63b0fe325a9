"""The families of APIs, made for one engine: what each of them serves over REST and over gRPC."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from service.core.call import Call
from service.core.control import ModelControl
from service.core.engine import Engine
from service.core.streams import OrderedStream
from service.protocols.native import openapi as native_openapi
from service.protocols.native.classify import Classifier
from service.protocols.native.forecast import SeriesForecaster
from service.protocols.native.labels import ModelLabels
from service.protocols.native.rest import NativeRest
from service.protocols.native.rpc import SERVICE, NativeRpc
from service.protocols.open_inference import errors as open_inference_errors
from service.protocols.open_inference import openapi as open_inference_openapi
from service.protocols.open_inference.family import open_inference
from service.protocols.tfserving import errors as tfserving_errors
from service.protocols.tfserving import openapi as tfserving_openapi
from service.protocols.tfserving import rest as tfserving_rest
from service.protocols.tfserving import rpc as tfserving_rpc
from service.settings import Settings
from service.transport import rpc_errors
from service.transport.openapi import PROBLEM, Fragment
from service.transport.rest import RestFamily
from service.transport.rest_errors import STATUS, problem_response
from service.transport.rpc_service import RpcService


@dataclass(frozen=True, slots=True)
class Serving:
    """What the families are made of.

    Attributes:
        engine: Has the models and runs them.
        control: Changes what is served.
        settings: All of them.
        accepting: Tells whether the server means to go on taking requests.
        draining: Set from the moment when nothing is admitted any more.
        observe: Takes the call of each finished message of a stream, and its code.
    """

    engine: Engine
    control: ModelControl
    settings: Settings
    accepting: Callable[[], bool]
    draining: asyncio.Event
    observe: Callable[[Call, str], None]


@dataclass(slots=True)
class ApiFamilies:
    """All of them.

    Attributes:
        rest: Their paths.
        rpc: Their services.
        openapi: Their parts of the OpenAPI document.
    """

    rest: list[RestFamily] = field(default_factory=list)
    rpc: list[RpcService] = field(default_factory=list)
    openapi: list[Fragment] = field(default_factory=list)


def api_families(serving: Serving) -> ApiFamilies:
    """Makes the families: the typed API, TensorFlow Serving's, the Open Inference Protocol."""
    families = ApiFamilies()
    for add in (_add_native, _add_tfserving, _add_open_inference):
        add(families, serving)
    return families


def _add_native(families: ApiFamilies, serving: Serving) -> None:
    engine, settings = serving.engine, serving.settings
    classifier = Classifier(engine, max_image_pixels=settings.max_image_pixels)
    forecaster = SeriesForecaster(engine)
    labels = ModelLabels(engine=engine, control=serving.control)
    rest = NativeRest(engine=engine, classifier=classifier, forecaster=forecaster, labels=labels)
    rpc = NativeRpc(
        engine=engine,
        classifier=classifier,
        forecaster=forecaster,
        labels=labels,
        stream=_stream(serving),
        status_of=rpc_errors.status,
    )
    families.rest.append(RestFamily(rest.routes(), lambda path: path.startswith("/api/"), problem_response))
    families.rpc.append(RpcService(SERVICE.full_name, rpc, SERVICE))
    families.openapi.append(Fragment(partial(native_openapi.fragment, engine.catalog), STATUS, PROBLEM))


def _stream(serving: Serving) -> OrderedStream:
    settings = serving.settings
    return OrderedStream(
        window=settings.stream_window,
        timeout=settings.default_timeout,
        idle_timeout=settings.stream_idle_timeout,
        draining=serving.draining,
        report=serving.observe,
    )


def _add_tfserving(families: ApiFamilies, serving: Serving) -> None:
    engine, settings = serving.engine, serving.settings
    rest = tfserving_rest.TfServingRest(engine, max_request_bytes=settings.max_request_bytes)
    families.rest.append(RestFamily([rest], tfserving_rest.owns, tfserving_errors.error_response))
    described = partial(tfserving_openapi.fragment, engine.catalog)
    families.openapi.append(Fragment(described, tfserving_errors.STATUS, tfserving_openapi.ERROR))
    prediction = tfserving_rpc.PredictionServicer(engine, tensor_content=settings.tensor_content)
    for short, servicer, shortcuts in (
        ("PredictionService", prediction, prediction.shortcuts),
        ("ModelService", tfserving_rpc.ModelServicer(engine, serving.control), {}),
    ):
        families.rpc.append(
            RpcService(
                f"{tfserving_rpc.PACKAGE}.{short}",
                servicer,
                tfserving_rpc.DESCRIPTORS[short],
                codes=tfserving_errors.CODES,
                health_names=(short,),  # as upstream calls them in its own health service
                shortcuts=shortcuts,
            )
        )


def _add_open_inference(families: ApiFamilies, serving: Serving) -> None:
    made = open_inference(
        engine=serving.engine,
        control=serving.control,
        accepting=serving.accepting,
        stream=_stream(serving),
        max_request_bytes=serving.settings.max_request_bytes,
    )
    rest, rpc = made.rest, made.rpc
    families.rest.append(RestFamily(rest.routes(), rest.owns, rest.respond, rest.quiet))
    described = partial(open_inference_openapi.fragment, serving.engine.catalog)
    families.openapi.append(Fragment(described, open_inference_errors.STATUS, open_inference_openapi.ERROR, rest.quiet))
    families.rpc.append(RpcService(rpc.name, rpc, rpc.descriptor, rpc.codes, quiet=rpc.quiet, shortcuts=rpc.shortcuts))
