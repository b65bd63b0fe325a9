# Two images: `gateway`, without tensorflow, and `full`, which trains models and runs them in its own process.
#
#   docker build --target gateway -t tensorgate .
#   docker build --target full -t tensorgate-full .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# The pinned requirements of the gateway, in an environment that has no pip of its own.
FROM ${PYTHON_IMAGE} AS gateway-requirements
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
RUN python -m venv --without-pip /opt/tensorgate
WORKDIR /build
COPY requirements/gateway.txt requirements/
RUN pip --python /opt/tensorgate/bin/python install --quiet --no-deps --no-compile --only-binary :all: \
    --requirement requirements/gateway.txt

FROM gateway-requirements AS full-requirements
COPY requirements/run.txt requirements/
# The same release for CPUs alone is smaller by half a gigabyte; there is one for x86-64 only.
RUN [ "$(uname -m)" != x86_64 ] || sed -i 's/^tensorflow==/tensorflow-cpu==/' requirements/run.txt; \
    pip --python /opt/tensorgate/bin/python install --quiet --no-deps --no-compile --only-binary :all: \
    --requirement requirements/run.txt

# Tensorgate itself.
FROM gateway-requirements AS wheel
COPY requirements/build.txt requirements/
RUN pip install --quiet --no-deps --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY pictures pictures
COPY service service
COPY series_files series_files
COPY tensorgate tensorgate
COPY training training
RUN pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels .

FROM gateway-requirements AS gateway-environment
# Anything but empty for an image that can send traces; it is 3 MB larger.
ARG TRACING=
# Anything but empty for an image that accepts tokens (JWT); it is 16 MB larger.
ARG JWT=
# Extras for the stores that models are pulled from, with commas between them: s3, gcs, azure, oci.
ARG STORES=
COPY requirements/run.txt requirements/stores.txt requirements/
RUN [ -z "$JWT" ] || { grep -E '^(cffi|cryptography|pycparser|pyjwt)==' requirements/run.txt > jwt.txt \
    && pip --python /opt/tensorgate/bin/python install --quiet --no-deps --no-compile --only-binary :all: \
    --requirement jwt.txt; }
COPY --from=wheel /wheels /wheels
RUN [ -z "$STORES" ] || pip --python /opt/tensorgate/bin/python install --quiet --no-compile --only-binary :all: \
    --constraint requirements/stores.txt "$(echo /wheels/*.whl)[$STORES]"
COPY deploy/image /build
RUN pip --python /opt/tensorgate/bin/python install --quiet --no-deps --no-compile /wheels/*.whl \
    && sh trim.sh /opt/tensorgate && /opt/tensorgate/bin/python bytecode.py \
    pictures series_files service tensorgate --without tensorflow training opentelemetry jwt cryptography \
    fsspec s3fs gcsfs adlfs oras --late s3fs gcsfs adlfs oras.client \
    ${TRACING:+opentelemetry.exporter.otlp.proto.grpc.trace_exporter}

FROM full-requirements AS full-environment
ARG STORES=
COPY requirements/stores.txt requirements/
COPY --from=wheel /wheels /wheels
RUN [ -z "$STORES" ] || pip --python /opt/tensorgate/bin/python install --quiet --no-compile --only-binary :all: \
    --constraint requirements/stores.txt "$(echo /wheels/*.whl)[$STORES]"
COPY deploy/image /build
RUN pip --python /opt/tensorgate/bin/python install --quiet --no-deps --no-compile /wheels/*.whl \
    && sh trim.sh /opt/tensorgate && TF_CPP_MIN_LOG_LEVEL=3 /opt/tensorgate/bin/python bytecode.py \
    pictures series_files service tensorgate training --without fsspec s3fs gcsfs adlfs oras \
    --late s3fs gcsfs adlfs oras.client tensorflow keras matplotlib.pyplot sklearn.datasets sklearn.svm pandas \
    opentelemetry.exporter.otlp.proto.grpc.trace_exporter opentelemetry.exporter.otlp.proto.http.trace_exporter

# What both images have in common, but for their environments.
FROM ${PYTHON_IMAGE} AS base
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="Tensorgate" \
    org.opencontainers.image.description="Serves TensorFlow models over gRPC and REST" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
# Nothing is installed at run time. A volume that is mounted at /models for the first time takes over its owner.
RUN pip --disable-pip-version-check uninstall --quiet --yes --root-user-action ignore setuptools wheel pip \
    && groupadd --gid 1000 tensorgate \
    && useradd --uid 1000 --gid 1000 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin tensorgate \
    && install --directory --owner 1000 --group 1000 /models
# Bytecode is in the image already, and the root file system may be read-only. To listen for other machines the server
# needs TLS or access control, or to be told that something before it decides who comes in: TENSORGATE_INSECURE=true.
ENV PATH=/opt/tensorgate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONFAULTHANDLER=1 \
    HOME=/tmp \
    TENSORGATE_HOST=0.0.0.0 \
    TENSORGATE_MODELS=/models
# The default of every command's --models is the folder models of where it runs.
WORKDIR /
USER 1000:1000
EXPOSE 8000 8001
ENTRYPOINT ["tensorgate"]
CMD ["serve"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["tensorgate", "probe"]

FROM base AS full
LABEL org.opencontainers.image.description="Trains TensorFlow models, and serves them over gRPC and REST"
ENV TF_CPP_MIN_LOG_LEVEL=1 MPLCONFIGDIR=/tmp/matplotlib
COPY --from=full-environment /opt/tensorgate /opt/tensorgate

FROM base AS gateway
COPY --from=gateway-environment /opt/tensorgate /opt/tensorgate
