"""From a request's tensors to the model's, as both transports of TensorFlow Serving's API need it."""

from collections.abc import Collection, Mapping, Sequence

from service.core.call import Call
from service.core.engine import Engine
from service.core.model_version import ModelRef, ModelVersion
from service.core.signature import check_names
from service.core.tasks import PREDICT
from service.core.tensors import Signature, Tensor
from service.errors import GatewayError
from service.protocols.tfserving import wording


def resolve(engine: Engine, wanted: ModelRef, call: Call) -> ModelVersion:
    """Finds the version that is to answer.

    Raises:
        GatewayError: In upstream's words.
    """
    try:
        return engine.resolve(wanted, call)
    except GatewayError as error:
        raise wording.unresolved(error, wanted, engine.labels(wanted.name, call)) from None


def signature_named(engine: Engine, version: ModelVersion, name: str, text: str) -> Signature:
    """Returns a signature, ``serving_default`` when the name is empty.

    Args:
        engine: Knows how long a name may be.
        version: Whose signature it is.
        name: As the request gives it.
        text: Upstream's words for one that does not exist, with ``{name}`` where its name goes.

    Raises:
        GatewayError: SIGNATURE_NOT_FOUND in these words.
    """
    chosen = name or PREDICT
    try:
        return engine.signature(version, chosen)
    except GatewayError as error:
        raise error.reworded(wording.shortened(text.format(name=chosen))) from None


def check_input_names(signature: Signature, names: Collection[str]) -> None:
    """Refuses inputs that the signature does not have, and those that are missing.

    Raises:
        GatewayError: INVALID_INPUT in upstream's words.
    """
    try:
        check_names(signature, names)
    except GatewayError as error:
        raise wording.wrong_inputs(error, signature, names) from None


async def predict(
    engine: Engine,
    version: ModelVersion,
    signature: Signature,
    inputs: Mapping[str, Tensor],
    *,
    wanted: Sequence[str] = (),
    call: Call,
) -> Mapping[str, Tensor]:
    """Runs a signature on its inputs.

    Args:
        engine: Runs it.
        version: As `resolve` gave it.
        signature: One of the version's.
        inputs: By name, and of no other names than the signature's.
        wanted: Names of the outputs to return; all when empty.
        call: The call that this is part of.

    Raises:
        GatewayError: In upstream's words where it has any.
    """
    try:
        return await engine.infer(engine.request(version, signature, inputs, tuple(wanted), call=call), call)
    except GatewayError as error:
        raise wording.refused(error, signature, inputs, wanted) from error.__cause__
