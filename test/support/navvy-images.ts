import { execa } from "execa";
import type { Docker } from "./docker.js";
import { importImage, npmFolder } from "./machine-image.js";
import { findNats } from "./nats-versions.js";
import { npmCache, npmRegistry } from "./npm-cache.js";

/** The image that `docker/agent.Dockerfile` makes. */
export const NAVVY_IMAGE = "navvy-test/navvy:1";
/** A server as the compose files take it: with a shell and wget. */
export const NATS_IMAGE = "navvy-test/nats:1";

/** What stands in for the public images that the Dockerfiles start from. */
const BASES = { NODE_IMAGE: "navvy-test/node:1", BASE_IMAGE: "navvy-test/run:1", DOCKER_IMAGE: "navvy-test/docker:1" };
const BUILD_MS = 400_000;

/** Makes the images that the public ones' places are taken by. */
export async function importBases({ env: own }: Pick<Docker, "env">): Promise<void> {
  const env = { ...process.env, ...own };
  const certificates = { "/etc/ssl/certs/ca-certificates.crt": "/etc/ssl/certs/ca-certificates.crt" };
  const npm = "usr/local/lib/node_modules/npm";
  await importImage(env, BASES.NODE_IMAGE, {
    programs: ["node"],
    copies: { [npmFolder()]: npm, [await npmCache()]: "npm-cache" },
    links: { "usr/local/bin/npm": `/${npm}/bin/npm-cli.js` },
    changes: ["ENV npm_config_cache=/npm-cache npm_config_offline=true", `ENV npm_config_registry=${await npmRegistry()}`],
  });
  await importImage(env, BASES.BASE_IMAGE, { programs: ["node", "git", "ssh", "tini", "setpriv"], copies: certificates });
  await importImage(env, BASES.DOCKER_IMAGE, { programs: ["docker"] });
  const server = await findNats("2.10+");
  await importImage(env, NATS_IMAGE, { programs: [server], changes: ['ENTRYPOINT ["nats-server"]'] });
}

/** Builds one of `docker/`'s Dockerfiles as a person would, but for the images it starts from. */
export async function buildDockerfile(engine: Pick<Docker, "env">, file: string, name: string): Promise<void> {
  const args = Object.entries({ ...BASES, PACKAGES: "" }).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]);
  // The old builder: the new one is a program of its own that is not everywhere.
  const env = { ...process.env, ...engine.env, DOCKER_BUILDKIT: "0" };
  await execa("docker", ["build", "--network", "none", ...args, "--file", file, "--tag", name, "."], { env, timeout: BUILD_MS });
}
