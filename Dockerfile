# syntax=docker/dockerfile:1
# orchestrator as a small image: the spec comes by a mount, the batches stay on a volume.
#   docker build -t orchestrator .
#   docker run --rm --env-file nightly.env -v "$PWD:/spec:ro" -v batches:/batches orchestrator run --resume /spec/nightly.toml

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY orchestrator orchestrator
COPY apify_emulator apify_emulator
# Extras with commas between them: postgres for shards, remote for object stores.
ARG EXTRAS=""
# An image installs all at once, so a cache in a layer would only make it larger.
RUN python -m venv /app \
    && /app/bin/pip install --no-cache-dir --constraint constraints.txt ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.13-slim
# tini is process 1: it passes signals on and ends orphans, as the Actors of the emulator may leave.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home batch \
    && install --directory --owner batch --group batch /batches
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH
USER 10001
WORKDIR /batches
# Each batch has its ledger here. Without it, a batch cannot be resumed.
VOLUME /batches
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "orchestrator"]
CMD ["--help"]
