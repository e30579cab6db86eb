import { expect, test } from "vitest";
import { GitOutput } from "./output.js";

test("lines come whole, whatever the pieces; what git writes over itself is seldom told; credentials never", () => {
  const said: string[] = [];
  const output = new GitOutput((line) => said.push(line));
  const text = [
    "remote: Counting objects:  10% (1/10)\u001b[K\r",
    "remote: Counting objects: 100% (10/10), done.\u001b[K\n",
    "Receiving objects:  50%\rReceiving objects: 100% (10/10), done.\n",
    "fatal: unable to access 'https://me:se:cret@git.lab/a.git/': no",
  ].join("");
  for (const character of text) output.take(character);
  expect(output.end()).toEqual([
    "remote: Counting objects: 100% (10/10), done.",
    "Receiving objects: 100% (10/10), done.",
    "fatal: unable to access 'https://***@git.lab/a.git/': no",
  ]);
  expect(said).toEqual(output.end());
});
