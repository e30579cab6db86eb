# An agent for machines without GPUs, and the whole `navvy` command. From a checkout:
#
#   docker build -f docker/agent.Dockerfile -t navvy .
#   docker run --rm navvy version
#
# docs/docker.md says how to start agents with it. Each image that it is made of is an argument: a mirror, another Debian, another Node.

# With node and npm, for the build.
ARG NODE_IMAGE=node:22-bookworm-slim
# With node, for agents; Debian's or Ubuntu's, or anything that has the programs below.
ARG BASE_IMAGE=node:22-bookworm-slim
# With the docker command in /usr/local/bin.
ARG DOCKER_IMAGE=docker:28-cli

FROM ${DOCKER_IMAGE} AS docker

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --include=dev --no-audit --no-fund
COPY . .
RUN npm run build && npm prune --omit=dev --no-audit --no-fund \
  && mkdir /navvy && mv package.json LICENSE dist node_modules /navvy/

FROM ${BASE_IMAGE}
# More of the distribution's packages for tasks that run as processes of this image.
ARG PACKAGES="python3"
COPY docker/install-tools.sh /tmp/
RUN sh /tmp/install-tools.sh ${PACKAGES} && rm /tmp/install-tools.sh
COPY --from=docker /usr/local/bin/docker /usr/local/bin/docker
COPY --from=build /navvy /opt/navvy
COPY docker/entrypoint.sh /usr/local/bin/navvy-entrypoint
RUN ln -s /opt/navvy/dist/cli/main.js /usr/local/bin/navvy && navvy version
ENV NAVVY_WORK_DIR=/var/lib/navvy
HEALTHCHECK --interval=15s --timeout=15s --start-period=60s \
  CMD navvy doctor --agent "${NAVVY_AGENT_NAME:-$(hostname)}" --quiet
ENTRYPOINT ["tini", "--", "navvy-entrypoint"]
CMD ["agent", "start"]
