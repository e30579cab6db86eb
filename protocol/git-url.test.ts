import { expect, test } from "vitest";
import { redactUrls, withoutCredentials } from "./git-url.js";

test.each([
  ["https://me:secret@git.lab/a.git", "https://git.lab/a.git"],
  ["https://token@git.lab:8443/a.git", "https://git.lab:8443/a.git"],
  ["https://me:p@ss@git.lab/a@b.git", "https://git.lab/a@b.git"],
  ["ssh://git:secret@git.lab/a.git", "ssh://git@git.lab/a.git"],
  ["ssh://git@git.lab/a.git", "ssh://git@git.lab/a.git"],
  ["git@git.lab:a.git", "git@git.lab:a.git"],
  ["/srv/a@b.git", "/srv/a@b.git"],
  ["https://git.lab/a@b.git", "https://git.lab/a@b.git"],
])("%s may be written down as %s", (url, plain) => {
  expect(withoutCredentials(url)).toBe(plain);
});

test("credentials in what a program printed are starred, and nothing else is touched", () => {
  expect(redactUrls("fatal: Authentication failed for 'https://me:se:cret@git.lab/a.git/'")).toBe(
    "fatal: Authentication failed for 'https://***@git.lab/a.git/'",
  );
  expect(redactUrls("From ssh://git@git.lab/a and http://x-token@h/b")).toBe("From ssh://git@git.lab/a and http://***@h/b");
  expect(redactUrls("mail me@example.org about https://git.lab/a")).toBe("mail me@example.org about https://git.lab/a");
});
