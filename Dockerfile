# The service as an image that contains only Python, the pinned libraries and Askback:
#
#   docker build -t askback .
#   docker run --read-only -p 50051:50051 -v askback:/data \
#     -v "$PWD/tokens.toml:/etc/askback/tokens.toml:ro" askback
#
# A server that can be reached from outside needs authentication: the token file is required
# (`askback hash-token` makes an entry).
#
# The web gateway is the same image (docs/how-to/deploy-the-gateway.md):
#   docker run --read-only --no-healthcheck -p 8080:8080 -v "$PWD/session.keys:/etc/askback/session.keys:ro" askback \
#     web --server askback:50051 --listen 0.0.0.0:8080 --public-origin https://askback.example \
#     --session-keys /etc/askback/session.keys
#
# On PostgreSQL migrate the schema with a separate command, once per release and before the replicas start.
# SQLite, the default here, is migrated at start:
#   docker run --rm askback migrate --db postgresql+asyncpg://user:password@host/askback
#
# Any base image works that has Python 3.11 or newer as python3, with `venv`. To build with your own package
# index, pass pip's settings, and the certificate if the index has a private CA, as secrets. They leave no trace
# in the image: --secret id=pip,src=pip.conf --secret id=ca,src=ca.crt (pip.conf refers to it as
# /run/secrets/ca).
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /src
# The libraries first, because they change less often than Askback. --no-deps: an incomplete lock must fail
# here (pip check) and must not fetch unpinned packages.
COPY requirements requirements
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    python3 -m venv /opt/build \
 && python3 -m venv --without-pip /opt/askback \
 && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/build.lock \
 && /opt/build/bin/pip --python /opt/askback/bin/python install --no-cache-dir --no-deps \
      --only-binary :all: --require-hashes -r requirements/server.lock
COPY pyproject.toml README.md LICENSE ./
COPY client client
COPY server server
COPY examples examples
RUN /opt/build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /dist . \
 && /opt/build/bin/pip --python /opt/askback/bin/python install --no-index --no-deps /dist/*.whl \
 && /opt/build/bin/pip --python /opt/askback/bin/python check

# The same base image: a virtual environment contains the path of its interpreter.
FROM ${BASE_IMAGE}
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="Askback" \
      org.opencontainers.image.description="Jobs that can stop and ask a human" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 askback \
 && useradd --uid 10001 --gid askback --no-create-home --home-dir /data --shell /usr/sbin/nologin askback \
 && install -d -o askback -g askback /data
COPY --from=build /opt/askback /opt/askback
# The root file system may be read-only: the service writes to /data only.
ENV PATH=/opt/askback/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 50051
STOPSIGNAL SIGTERM
# The health port is separate, so the check is the same with and without TLS. If you serve with arguments other
# than those below, also pass --health-listen, or define your own check.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["askback", "health", "--server", "127.0.0.1:50052"]
ENTRYPOINT ["askback"]
CMD ["serve", "--listen", "0.0.0.0:50051", "--health-listen", "127.0.0.1:50052", \
     "--db", "sqlite+aiosqlite:////data/askback.db", "--auth", "/etc/askback/tokens.toml", \
     "--log-format", "json"]
