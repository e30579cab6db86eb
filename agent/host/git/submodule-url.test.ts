import { expect, test } from "vitest";
import { submoduleUrl } from "./submodule-url.js";

test.each([
  ["https://git.lab/ml/resnet.git", "https://elsewhere/x.git", "https://elsewhere/x.git"],
  ["https://git.lab/ml/resnet.git", "../lib.git", "https://git.lab/ml/lib.git"],
  ["https://git.lab/ml/resnet.git/", "../../other/lib.git", "https://git.lab/other/lib.git"],
  ["git@git.lab:ml/resnet.git", "../lib.git", "git@git.lab:ml/lib.git"],
  ["git@git.lab:resnet.git", "../lib.git", "git@git.lab:lib.git"],
  ["/srv/git/resnet", "./lib", "/srv/git/resnet/lib"],
])("in %s, %s is %s", (parent, url, full) => {
  expect(submoduleUrl(parent, url)).toBe(full);
});
