"""nginx as a gRPC proxy: what a gateway in C costs that only forwards."""

import getpass
import shutil
from pathlib import Path

_CONFIGURATION = """\
daemon off;
worker_processes auto;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    # By default a connection ends after a thousand requests, and the load with it.
    keepalive_requests 1000000000;
    upstream backend {{
        server {backend};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} http2;
        location / {{ grpc_pass grpc://backend; }}
    }}
}}
"""


def find() -> str | None:
    """Returns where nginx is; Debian puts it where only root looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def write_configuration(folder: Path, port: int, backend: str) -> Path:
    """Writes what makes nginx forward all gRPC calls at the port to the backend."""
    file = folder / "nginx.conf"
    file.write_text(_CONFIGURATION.format(folder=folder, port=port, backend=backend, user=getpass.getuser()))
    return file
