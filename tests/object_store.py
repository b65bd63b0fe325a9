"""A server that speaks S3, in this process."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"  # noqa: S105
BUCKET = "bucket"
URL = f"s3://{BUCKET}/models"


class ObjectStore:
    """S3 with one bucket.

    Attributes:
        endpoint: URL of the server.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.client: Any = boto3.client("s3")
        self.client.create_bucket(Bucket=BUCKET)
        self.delete()  # moto's servers in a process have all the same

    def put(self, model: str, version: int | str, files: Mapping[str, bytes]) -> None:
        """Writes files of a version, in their order."""
        for name, data in files.items():
            self.client.put_object(Bucket=BUCKET, Key=f"models/{model}/{version}/{name}", Body=data)

    def keys(self) -> list[str]:
        """Returns the keys of all objects below the prefix."""
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix="models/").get("Contents", [])
        return [entry["Key"] for entry in found]

    def delete(self, prefix: str = "") -> None:
        """Deletes all objects whose keys begin so."""
        for key in self.keys():
            if key.startswith(f"models/{prefix}"):
                self.client.delete_object(Bucket=BUCKET, Key=key)


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Runs S3 while the body does; whoever uses Amazon's libraries meanwhile finds it, and a key for it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        try:
            yield ObjectStore(endpoint)
        finally:
            server.stop()
