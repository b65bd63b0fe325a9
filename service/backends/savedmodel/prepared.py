"""One signature in a session, ready to be called. Imports tensorflow."""

from collections.abc import Mapping

import numpy as np

from service.backends.savedmodel.session import Session
from service.core.tensors import Signature, Tensor, TensorSpec


class PreparedCall:
    """A session's prepared call of a signature.

    An output that is the very tensor of an input is answered with what came: a session does not give back what it is
    fed.

    Args:
        session: With the model in it.
        signature: Of the model; its specs have the names of the tensors.

    Raises:
        ValueError: When the graph does not have the tensors, or has them otherwise than the signature says; also as
            an error of TensorFlow.
    """

    def __init__(self, session: Session, signature: Signature) -> None:
        feeds = {name: _tensor_name(spec) for name, spec in signature.inputs.items()}
        fetches = {name: _tensor_name(spec) for name, spec in signature.outputs.items()}
        fed = {tensor: name for name, tensor in feeds.items()}
        self._inputs = tuple(signature.inputs)
        self._outputs = tuple(signature.outputs)
        self._echoed = {name: fed[tensor] for name, tensor in fetches.items() if tensor in fed}
        self._fetched = tuple(name for name in self._outputs if name not in self._echoed)
        self._call = (
            session.prepare(feed=list(feeds.values()), fetch=[fetches[name] for name in self._fetched])
            if self._fetched
            else None
        )

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the outputs by name; raises whatever TensorFlow does."""
        values = () if self._call is None else self._call(*[inputs[name] for name in self._inputs])
        outputs = {name: np.asarray(value) for name, value in zip(self._fetched, values, strict=True)}
        if not self._echoed:
            return outputs
        outputs |= {name: inputs[fed] for name, fed in self._echoed.items()}
        return {name: outputs[name] for name in self._outputs}


def _tensor_name(spec: TensorSpec) -> str:
    """Returns the name with the number of the operation's output, which may be left out where it is the first."""
    return spec.tensor_name if ":" in spec.tensor_name else f"{spec.tensor_name}:0"
