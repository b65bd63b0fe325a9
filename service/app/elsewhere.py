"""Other servers that answer copies of requests; what speaks to them is imported once there is one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from service.backends.registry import TfServingOptions
from service.core.deadline import Deadline
from service.core.model_version import ModelVersion
from service.core.request import InferenceRequest
from service.core.tensors import Tensor

if TYPE_CHECKING:
    from service.backends.tfserving.elsewhere import OtherServers


class Elsewhere:
    """Servers that speak TensorFlow Serving's gRPC API.

    Args:
        options: Of them those of TLS, which hold for all of these servers.
    """

    def __init__(self, options: TfServingOptions) -> None:
        self._options = options
        self._servers: OtherServers | None = None

    async def run(
        self, address: str, version: ModelVersion, request: InferenceRequest, deadline: Deadline
    ) -> Mapping[str, Tensor]:
        """Runs a request on a version that the server at an address has.

        Raises:
            GatewayError: When it does not answer, or not as the signature of the request says.
        """
        if self._servers is None:
            from service.backends.tfserving.elsewhere import OtherServers  # noqa: PLC0415

            self._servers = OtherServers(self._options)
        return await self._servers.run(address, version, request, deadline)

    async def close(self) -> None:
        """Closes all connections."""
        if self._servers is not None:
            await self._servers.close()
