# The image of the bridge: `make image BASE=python:3.13-slim@sha256:...`
#
# The base is any image with glibc and CPython 3.11 or newer, with pip or the module venv. It is named
# by its digest, so that the same sources make the same image. Nothing of it but the interpreter and
# the libraries that are needed gets into the second stage: no shell, no package manager, no pip.
ARG BASE
FROM ${BASE} AS collected
COPY requirements/run.txt image/collect.py /build/
# The bridge's own wheel, and whatever else shall not come from the index.
COPY build/image/wheels /build/wheels
# Where an index is that is not pip's own, and other options; neither gets into the second stage.
ARG PIP_INDEX_URL
ARG PIP_NO_INDEX
RUN python3 -m venv /build/pip \
 && /build/pip/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile \
      --only-binary :all: --require-hashes --find-links /build/wheels \
      --target /build/packages -r /build/run.txt \
 && /build/pip/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile \
      --no-index --no-deps --find-links /build/wheels \
      --target /build/own vault-swarm-bridge \
 && python3 -B /build/collect.py /tree /build/packages /build/own

FROM scratch
COPY --from=collected /tree /
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="vault-swarm-bridge" \
      org.opencontainers.image.description="Rotates Docker Swarm secrets from HashiCorp Vault, with no downtime." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
ENV PATH=/opt/vault-bridge/bin
# By number: a node can see that it is not root without reading the image's files.
USER 65532:65532
STOPSIGNAL SIGTERM
# It asks the running bridge; unhealthy is one that is stuck, never one that waits for a server.
HEALTHCHECK --interval=30s --timeout=30s --start-period=30s --retries=3 CMD ["vault-bridge", "health"]
ENTRYPOINT ["vault-bridge"]
CMD ["run"]
