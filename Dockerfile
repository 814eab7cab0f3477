# docker build -t askback .
# docker run -p 50051:50051 -v askback:/data -v "$PWD/tokens.toml:/etc/askback/tokens.toml:ro" askback
#
# A server that can be reached from outside needs authentication: the token file is required
# (`askback hash-token` makes an entry).
#
# On PostgreSQL the schema is brought up to date by a command of its own, once per release and before
# the replicas start; SQLite, the default here, is migrated at start:
#   docker run --rm askback migrate --db postgresql+asyncpg://user:password@host/askback
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY client client
COPY server server
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /dist . \
 && python -m venv /opt/askback \
 && /opt/askback/bin/pip install --no-cache-dir "askback[server] @ file://$(echo /dist/askback-*.whl)"

# The same base: a virtual environment names its interpreter's path.
FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 askback \
 && useradd --uid 10001 --gid askback --no-create-home --home-dir /data --shell /usr/sbin/nologin askback \
 && install -d -o askback -g askback /data
COPY --from=build /opt/askback /opt/askback
# The root file system may be read-only: only /data is written to.
ENV PATH=/opt/askback/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["askback", "health"]
ENTRYPOINT ["askback"]
CMD ["serve", "--listen", "0.0.0.0:50051", "--db", "sqlite+aiosqlite:////data/askback.db", \
     "--auth", "/etc/askback/tokens.toml", "--log-format", "json"]
