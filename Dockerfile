# One image for every service: each Deployment starts its own module of it. It holds Node, the bundled modules and their
# migrations; no shell, no packages, no tools. The same sources give the same files, and with
#   docker buildx build --build-arg SOURCE_DATE_EPOCH=0 --output type=image,rewrite-timestamp=true .
# the same layers of ours. The bases below are tags, which move: whoever wants the same image again pins both,
#   --build-arg BUILD_BASE=…@sha256:… --build-arg RUN_BASE=…@sha256:…
# SYSTEM chooses another system than mesh/shop.ts.
ARG BUILD_BASE=docker.io/library/node:24-bookworm-slim
ARG RUN_BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_BASE} AS bundle
WORKDIR /src
COPY bin/node bin/node
COPY package.json package-lock.json .npmrc ./
# Node and all packages by the hashes of the lock file; a layer of its own, so that a change of code does not fetch them again.
RUN bin/node --version
COPY . .
ARG SYSTEM=mesh/shop.ts
RUN bin/parley bundle --system "${SYSTEM}" --out /app && cp "$(bin/node --print process.execPath)" /usr/local/bin/parley-node

FROM ${RUN_BASE}
COPY --from=bundle /usr/local/bin/parley-node /usr/local/bin/node
COPY --from=bundle /app /app
WORKDIR /app
ENV NODE_ENV=production
USER 10001:10001
ENTRYPOINT []
CMD ["node", "--version"]
