import { BlobStore } from "./blob-store.js";
import type { ContentStore } from "./content-store.js";
import { FileBlobs } from "./file-blobs.js";
import { S3Blobs } from "./s3-blobs.js";
import { parseStoreUrl } from "./store-url.js";

/** Every place that content may lie at; each is opened once. */
export class Stores {
  readonly #own: ContentStore;
  readonly #open = new Map<string, ContentStore>();

  constructor(own: ContentStore) {
    this.#own = own;
  }

  /** Without a URL: the fleet's own object store. @throws NavvyError invalid_argument */
  at(url: string | undefined): ContentStore {
    if (url === undefined) return this.#own;
    const known = this.#open.get(url);
    if (known) return known;
    const place = parseStoreUrl(url);
    const store = new BlobStore(place.kind === "file" ? new FileBlobs(place.folder) : new S3Blobs(place));
    this.#open.set(url, store);
    return store;
  }
}
