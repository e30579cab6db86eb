import { posix } from "node:path";
import { NavvyError } from "../../protocol/index.js";

/** Where artifacts lie other than in the fleet's own object store. */
export type StorePlace =
  | { kind: "file"; url: string; folder: string }
  | { kind: "s3"; url: string; bucket: string; prefix: string; endpoint?: string; region?: string; pathStyle: boolean };

const S3_SETTINGS = new Set(["endpoint", "region", "path-style"]);

/**
 * Reads `file:///folder` or `s3://bucket/prefix?endpoint=https://…&region=…&path-style=true`. The URL comes back in one spelling, as
 * it goes into records: it never holds credentials.
 * @throws NavvyError invalid_argument
 */
export function parseStoreUrl(text: string): StorePlace {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw refused(text.replace(/\/\/[^/@]*@/, "//"), "it is no URL", cause);
  }
  const shown = `${url.protocol}//${url.host}${url.pathname}`;
  if (url.username || url.password) throw refused(shown, "credentials do not stand in it: they would go into records", undefined);
  if (url.hash) throw refused(shown, "it has a # part");
  if (url.protocol === "file:") return filePlace(url, shown);
  if (url.protocol === "s3:") return s3Place(url, shown);
  throw refused(shown, `${url.protocol}// is no kind of store`);
}

function filePlace(url: URL, shown: string): StorePlace {
  if (url.host !== "" && url.host !== "localhost")
    throw refused(shown, "a shared folder is named by its path on each machine: file:///folder");
  if (url.search) throw refused(shown, "a folder takes no settings");
  const folder = posix.normalize(decodeURIComponent(url.pathname)).replace(/(?<=.)\/+$/, "");
  if (folder === "/" || folder.includes("\0")) throw refused(shown, "it names no folder of its own");
  return { kind: "file", folder, url: `file://${encodeURI(folder)}` };
}

function s3Place(url: URL, shown: string): StorePlace {
  const bucket = url.host;
  if (!/^[a-z0-9][a-z0-9._-]{1,62}$/.test(bucket)) throw refused(shown, "s3:// is followed by the bucket's name");
  for (const name of url.searchParams.keys())
    if (!S3_SETTINGS.has(name)) throw refused(shown, `${JSON.stringify(name)} is no setting; there are ${[...S3_SETTINGS].join(", ")}`);
  const prefix = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, "");
  const [endpoint, region] = [url.searchParams.get("endpoint") ?? undefined, url.searchParams.get("region") ?? undefined];
  if (endpoint !== undefined && !/^https?:\/\/[^/@?#]+\/?$/.test(endpoint))
    throw refused(shown, `endpoint ${endpoint.replace(/\/\/[^/@]*@/, "//")} is no http(s) address`);
  const pathStyle = url.searchParams.get("path-style") === "true";
  const query = new URLSearchParams();
  if (endpoint) query.set("endpoint", endpoint);
  if (region) query.set("region", region);
  if (pathStyle) query.set("path-style", "true");
  const normal = `s3://${bucket}${prefix ? `/${encodeURI(prefix)}` : ""}${query.size > 0 ? `?${query}` : ""}`;
  return { kind: "s3", url: normal, bucket, prefix, ...(endpoint ? { endpoint } : {}), ...(region ? { region } : {}), pathStyle };
}

function refused(text: string, why: string, cause?: unknown): NavvyError {
  return new NavvyError("invalid_argument", `artifact store ${JSON.stringify(text)} is not acceptable`, {
    cause,
    why,
    fix: [
      "file:///mnt/share/artifacts",
      "s3://bucket/prefix",
      "s3://bucket/prefix?endpoint=http://minio.lan:9000&region=us-east-1&path-style=true",
    ],
  });
}
