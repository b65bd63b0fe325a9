"""The settings of servers that are attacked: with low limits, so that changed numbers are beyond them."""

from typing import Any

LIMITS: dict[str, Any] = {
    "backend": "tests.judges:JudgesBackend",
    "max_batch_size": 8,
    "max_request_bytes": 2**20,
    "max_request_rows": 64,
    "max_tensor_elements": 4096,
    "max_json_values": 4096,
    "max_json_depth": 8,
    "max_name_length": 64,
    "max_image_pixels": 4096,
    "allow_model_control": False,
    "access_log": "none",
}
