"""Asks with tritonclient over mutual TLS whether servers are ready. Run by an interpreter that has it.

Arguments: the addresses of REST and of gRPC, and the PEM files of the authority, the certificate and the key.
"""

import sys

import gevent.ssl
from tritonclient import grpc, http

rest, rpc, authority, certificate, key = sys.argv[1:]
over_rest = http.InferenceServerClient(
    rest,
    ssl=True,
    ssl_options={"ca_certs": authority, "certfile": certificate, "keyfile": key},
    ssl_context_factory=gevent.ssl.create_default_context,
)
over_grpc = grpc.InferenceServerClient(
    rpc, ssl=True, root_certificates=authority, private_key=key, certificate_chain=certificate
)
sys.stdout.write(f"{over_rest.is_server_ready()} {over_grpc.is_server_ready()}\n")
