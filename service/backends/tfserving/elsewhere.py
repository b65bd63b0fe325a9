"""Runs on servers that are no replicas of the backend: for copies of requests, whose answers nobody waits for."""

from collections.abc import Mapping

from grpc import aio

from service.backends.registry import TfServingOptions
from service.backends.tfserving.connection import CallError, Connection, channel_factory, parsed
from service.backends.tfserving.failures import failure_of
from service.backends.tfserving.messages import outputs_of, predict_request
from service.core.deadline import Deadline
from service.core.model_version import ModelVersion
from service.core.request import InferenceRequest
from service.core.tensors import Tensor
from service.wire import tensorflow_serving_pb2 as pb


class OtherServers:
    """Connections to servers that speak TensorFlow Serving's gRPC API, each made when it is first needed.

    Args:
        options: Their TLS options hold for all of these servers.
    """

    def __init__(self, options: TfServingOptions) -> None:
        self._connect = channel_factory(options)
        self._connections: dict[str, Connection] = {}

    async def run(
        self, address: str, version: ModelVersion, request: InferenceRequest, deadline: Deadline
    ) -> Mapping[str, Tensor]:
        """Runs a request on a version that the server at an address has.

        Raises:
            GatewayError: When it does not answer, or not as the signature of the request says.
        """
        connection = self._connections.get(address)
        if connection is None:
            connection = self._connections[address] = Connection(address, self._connect)
        message = predict_request(version, request.signature, request.inputs)
        try:
            data = await connection.predict(message, deadline.remaining())
            return outputs_of(parsed(pb.PredictResponse, data), request.signature)
        except aio.AioRpcError as error:
            raise failure_of(error, connected=connection.connected).error from None
        except CallError as failed:
            raise failed.failure.error from None

    async def close(self) -> None:
        """Closes all connections."""
        for connection in self._connections.values():
            await connection.close()
