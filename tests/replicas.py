"""A replica that does as it is told: TensorFlow Serving's protocol with real messages, on a free port.

It serves one signature, ``serving_default``: ``x`` float32 [?] to ``y`` = x + version.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
from grpc import aio
from grpc_health.v1 import health_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from service.wire import tensorflow_pb2 as tf_pb

Status = get_model_status_pb2.ModelVersionStatus


class Replica:
    """The state of one replica.

    Attributes:
        versions: The state of each version of the model ``m``.
        failure: What every inference is refused with, while it is set.
        gate: While it is cleared, inferences wait.
        silent: While it is cleared, nothing at all is answered.
        health: What its health service says; ``None`` when it has none.
        asked: The versions that were asked for, in order.
        deadlines: Seconds that each inference was allowed.
        metadata: What each inference came with.
        configs: The configurations that it was told.
        refusal: What it answers to the next configurations, in place of success.
        models: Names of the models that it has, all with these versions; of ``bad`` it cannot tell the signatures.
        probe_failure: What every probe is refused with, while it is set.
        telling: While it is cleared, it does not tell which versions it has.
        reloading: While it is cleared, reloads wait.
        output: Name of its output.
        slow_metadata: A version of which it tells the signatures late.
        crashes: Whether an inference ends it.
        nonsense: Whether it answers inferences with bytes that are no message.
        shift: Default of a second input, ``shift`` float32 [?], that is added to ``y``; ``None`` where there is none.
            As upstream does, it reports the input, and not the default.
        others: Signatures that it reports in place of ``serving_default``, where there are any.
    """

    def __init__(self, *versions: int) -> None:
        self.versions: dict[int, int] = dict.fromkeys(versions or (1,), Status.AVAILABLE)
        self.failure: tuple[grpc.StatusCode, str] | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.silent = asyncio.Event()
        self.silent.set()
        self.health: int | None = health_pb2.HealthCheckResponse.SERVING
        self.asked: list[int] = []
        self.deadlines: list[float] = []
        self.metadata: list[dict[str, str]] = []
        self.configs: list[model_management_pb2.ReloadConfigRequest] = []
        self.refusal = ""
        self.models = {"m"}
        self.probe_failure: tuple[grpc.StatusCode, str] | None = None
        self.telling = asyncio.Event()
        self.telling.set()
        self.reloading = asyncio.Event()
        self.reloading.set()
        self.output = "y"
        self.slow_metadata = 0
        self.crashes = False
        self.nonsense = False
        self.shift: float | None = None
        self.others: dict[str, tf_pb.SignatureDef] = {}
        self.port = 0
        self._server: aio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self, credentials: grpc.ServerCredentials | None = None) -> None:
        """Listens, on the port that it had before if it had one."""
        methods = {
            "tensorflow.serving.PredictionService": {
                "Predict": (self._predict, predict_pb2.PredictRequest),
                "GetModelMetadata": (self._metadata, get_model_metadata_pb2.GetModelMetadataRequest),
            },
            "tensorflow.serving.ModelService": {
                "GetModelStatus": (self._status, get_model_status_pb2.GetModelStatusRequest),
                "HandleReloadConfigRequest": (self._reload, model_management_pb2.ReloadConfigRequest),
            },
            "grpc.health.v1.Health": {"Check": (self._check, health_pb2.HealthCheckRequest)},
        }
        self._server = aio.server(options=[("grpc.so_reuseport", 0)])
        for service, handlers in methods.items():
            if service == "grpc.health.v1.Health" and self.health is None:
                continue
            made: dict[str, Any] = {
                name: grpc.unary_unary_rpc_method_handler(
                    self._answering(handler),
                    request_deserializer=request.FromString,
                    response_serializer=lambda answer: (
                        answer if isinstance(answer, bytes) else answer.SerializeToString()
                    ),
                )
                for name, (handler, request) in handlers.items()
            }
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, made),))
        address = f"127.0.0.1:{self.port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)
        await self._server.start()

    async def stop(self) -> None:
        """Goes away at once, with all that it was working on."""
        assert self._server is not None
        await self._server.stop(0)

    def _answering(self, handler: Any) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            await self.silent.wait()
            return await handler(request, context)

        return answer

    async def _check(self, request: Any, context: Any) -> Any:
        if self.probe_failure is not None:
            await context.abort(*self.probe_failure)
        return health_pb2.HealthCheckResponse(status=self.health)

    async def _status(self, request: Any, context: Any) -> Any:
        await self.telling.wait()
        if self.probe_failure is not None:
            await context.abort(*self.probe_failure)
        if request.model_spec.name not in self.models:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of {request.model_spec.name}")
        answer = get_model_status_pb2.GetModelStatusResponse()
        for version, state in self.versions.items():
            answer.model_version_status.add(version=version, state=state)
        return answer

    async def _metadata(self, request: Any, context: Any) -> Any:
        if request.model_spec.version.value == self.slow_metadata:
            await asyncio.sleep(0.3)
        if request.model_spec.name == "bad":
            await context.abort(grpc.StatusCode.INTERNAL, "no metadata")
        shape = tf_pb.TensorShapeProto(dim=[tf_pb.TensorShapeProto.Dim(size=-1)])
        info = tf_pb.TensorInfo(name="x:0", dtype=tf_pb.DT_FLOAT, tensor_shape=shape)
        inputs = {"x": info} if self.shift is None else {"x": info, "shift": info}
        definition = tf_pb.SignatureDef(
            inputs=inputs, outputs={self.output: info}, method_name="tensorflow/serving/predict"
        )
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, other in (self.others or {"serving_default": definition}).items():
            signatures.signature_def[name].ParseFromString(other.SerializeToString())
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.metadata["signature_def"].Pack(signatures)
        return answer

    async def _predict(self, request: Any, context: Any) -> Any:
        version = request.model_spec.version.value
        self.asked.append(version)
        self.deadlines.append(context.time_remaining())
        self.metadata.append(dict(context.invocation_metadata()))
        await self.gate.wait()
        if self.crashes:
            self._stopping = asyncio.create_task(self.stop())
            await asyncio.Event().wait()
        if self.failure is not None:
            await context.abort(*self.failure)
        if self.nonsense:
            return b"\xff\xff"
        if self.versions.get(version) != Status.AVAILABLE:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Specific(m, {version})")
        tensor = request.inputs["x"]
        values = np.frombuffer(tensor.tensor_content, np.float32) + version
        if "shift" in request.inputs:
            values = values + np.frombuffer(request.inputs["shift"].tensor_content, np.float32)
        elif self.shift is not None:
            values = values + self.shift
        answer = predict_pb2.PredictResponse()
        answer.outputs[self.output].CopyFrom(tensor)
        answer.outputs[self.output].tensor_content = values.astype(np.float32).tobytes()
        return answer

    async def _reload(self, request: Any, context: Any) -> Any:
        self.configs.append(request)
        await self.reloading.wait()
        answer = model_management_pb2.ReloadConfigResponse()
        if self.refusal:
            answer.status.error_code = 2
            answer.status.error_message = self.refusal
        return answer


@asynccontextmanager
async def replicas(*made: Replica) -> AsyncIterator[tuple[Replica, ...]]:
    """Runs replicas while the body runs."""
    for replica in made:
        await replica.start()
    try:
        yield made
    finally:
        for replica in made:
            replica.gate.set()
            replica.silent.set()
            await replica.stop()
