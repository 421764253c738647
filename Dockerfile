# Two stages: the first installs by hash, the second carries the result and nothing to build with.
FROM python:3.11-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/roboinvest
COPY requirements.lock ./
RUN /opt/roboinvest/bin/pip install --no-compile --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY roboinvest roboinvest
COPY meta_agents meta_agents
COPY research research
COPY tools tools
# The import proves that the image can start, and leaves the bytecode of what the daemon uses: the
# root file system is read-only later, so that each start would compile it again.
RUN /opt/roboinvest/bin/pip install --no-compile --no-deps --no-build-isolation . \
    && cd / && /opt/roboinvest/bin/python -c "import roboinvest.app, roboinvest.cli.main"

FROM python:3.11-slim

# A fixed number, so that the owner of a bind-mounted folder can be set from outside.
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin roboinvest \
    && install --directory --owner=roboinvest --group=roboinvest --mode=0700 /data
COPY --from=build /opt/roboinvest /opt/roboinvest

ENV PATH=/opt/roboinvest/bin:$PATH \
    ROBOINVEST_DATA_DIR=/data \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    TZ=UTC

USER 10001:10001
# A settings file is looked for in ./config.
WORKDIR /etc/roboinvest
# After the folder has its owner: what a build step changes in a volume is lost.
VOLUME /data
# The daemon drains and is gone within 25 s: `docker stop --time 30`, for its default is 10.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=10s --start-period=60s --retries=3 \
    CMD ["roboinvest", "status", "--check", "--data-dir", "/data"]

# Exec form: a shell as process 1 would not pass SIGTERM on.
ENTRYPOINT ["roboinvest"]
CMD ["run"]
