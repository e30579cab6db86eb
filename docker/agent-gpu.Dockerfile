# An agent for machines with NVIDIA GPUs. From a checkout:
#
#   docker build -f docker/agent-gpu.Dockerfile -t navvy-gpu .
#   docker run --rm --gpus all --entrypoint nvidia-smi navvy-gpu
#
# The host needs NVIDIA's driver and its container toolkit. docs/docker.md says the rest.

# With node and npm, for the build; its node goes into the image.
ARG NODE_IMAGE=node:22-bookworm-slim
# With the CUDA libraries that tasks need which run as processes of this image; those with an image of their own bring theirs.
ARG BASE_IMAGE=nvidia/cuda:12.6.3-base-ubuntu24.04
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
RUN sh /tmp/install-tools.sh libstdc++6 ${PACKAGES} && rm /tmp/install-tools.sh
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=docker /usr/local/bin/docker /usr/local/bin/docker
COPY --from=build /navvy /opt/navvy
COPY docker/entrypoint.sh /usr/local/bin/navvy-entrypoint
RUN ln -s /opt/navvy/dist/cli/main.js /usr/local/bin/navvy && navvy version
# Which of the driver's parts the container toolkit brings in: nvidia-smi is how an agent sees GPUs.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENV NAVVY_WORK_DIR=/var/lib/navvy
HEALTHCHECK --interval=15s --timeout=15s --start-period=60s \
  CMD navvy doctor --agent "${NAVVY_AGENT_NAME:-$(hostname)}" --quiet
ENTRYPOINT ["tini", "--", "navvy-entrypoint"]
CMD ["agent", "start"]
