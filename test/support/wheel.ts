import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "./folder.js";

/** Makes a wheel by hand: a module with one value and a program of its name, which needs no index and no build tool to install. */
const MAKE = `
import base64, hashlib, sys, zipfile
name, version, path = sys.argv[1:]
info = f"{name}-{version}.dist-info"
files = {
    f"{name}.py": f"VERSION = '{version}'\\n\\ndef main():\\n    print(VERSION)\\n",
    f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: hand\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    f"{info}/entry_points.txt": f"[console_scripts]\\n{name} = {name}:main\\n",
}
def row(file, text):
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{file},sha256={digest},{len(text)}"
record = "\\n".join([row(*each) for each in files.items()] + [f"{info}/RECORD,,", ""])
with zipfile.ZipFile(path, "w") as wheel:
    for file, text in {**files, f"{info}/RECORD": record}.items():
        wheel.writestr(zipfile.ZipInfo(file), text)
`;

/** The file's name and its bytes. */
export async function makeWheel(name: string, version: string): Promise<{ file: string; bytes: Uint8Array }> {
  await using folder = await tempFolder();
  const file = `${name}-${version}-py3-none-any.whl`;
  execFileSync("python3", ["-c", MAKE, name, version, join(folder.path, file)]);
  return { file, bytes: readFileSync(join(folder.path, file)) };
}
