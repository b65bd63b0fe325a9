"""Every generic protocol behind one face, so that a test says the same in each: tensors in, tensors or a code out."""

from tests.open_inference_speakers import OpenInferenceRest, OpenInferenceRpc
from tests.questions import Speaker
from tests.tfserving_speakers import TfServingRest, TfServingRpc

SPEAKERS: dict[str, Speaker] = {
    "tfserving-grpc-content": TfServingRpc(as_content=True),
    "tfserving-grpc-typed": TfServingRpc(as_content=False),
    "tfserving-rest": TfServingRest(),
    "open-inference-rest-json": OpenInferenceRest(binary=False),
    "open-inference-rest-binary": OpenInferenceRest(binary=True),
    "open-inference-grpc-typed": OpenInferenceRpc(raw=False),
    "open-inference-grpc-raw": OpenInferenceRpc(raw=True),
}
