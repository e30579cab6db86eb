import { expect, test } from "vitest";
import { parseStoreUrl } from "./store-url.js";

test.each([
  ["file:///mnt/nas/artifacts/", { kind: "file", folder: "/mnt/nas/artifacts", url: "file:///mnt/nas/artifacts" }],
  ["file:///mnt/a%20b", { kind: "file", folder: "/mnt/a b", url: "file:///mnt/a%20b" }],
  ["s3://models", { kind: "s3", bucket: "models", prefix: "", pathStyle: false, url: "s3://models" }],
  ["s3://models/a/b/?region=eu-west-1", { kind: "s3", prefix: "a/b", region: "eu-west-1", url: "s3://models/a/b?region=eu-west-1" }],
  [
    "s3://models?path-style=true&endpoint=http://minio:9000",
    { endpoint: "http://minio:9000", pathStyle: true, url: "s3://models?endpoint=http%3A%2F%2Fminio%3A9000&path-style=true" },
  ],
])("%s is read, and has one spelling", (text, place) => {
  expect(parseStoreUrl(text)).toMatchObject(place);
  expect(parseStoreUrl(parseStoreUrl(text).url)).toEqual(parseStoreUrl(text));
});

test.each([
  "nas/artifacts",
  "file:///",
  "file://host/share",
  "file:///a?x=1",
  "https://example.org/x",
  "s3:///prefix",
  "s3://b/x?acl=public",
  "s3://b/x?endpoint=ftp://x",
])("%s is refused with what would do", (text) => {
  expect(() => parseStoreUrl(text)).toThrow(
    expect.objectContaining({ code: "invalid_argument", fix: expect.arrayContaining(["s3://bucket/prefix"]) }),
  );
});

test.each(["s3://AKIA:verysecret@bucket/x", "s3://bucket/x?endpoint=https://me:verysecret@host"])(
  "credentials are refused and not repeated",
  (text) => {
    const told = (() => {
      try {
        return parseStoreUrl(text);
      } catch (error) {
        return error as Error & { why: string };
      }
    })();
    expect(told).toBeInstanceOf(Error);
    expect(JSON.stringify([(told as Error).message, (told as { why?: string }).why])).not.toContain("verysecret");
  },
);
