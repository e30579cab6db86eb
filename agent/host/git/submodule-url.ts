/** A submodule's URL: one that begins with `./` or `../` is meant from its parent's. */
export function submoduleUrl(parent: string, url: string): string {
  if (!/^\.\.?\//.test(url)) return url;
  let base = parent.replace(/\/+$/, "");
  let rest = url;
  for (;;) {
    if (rest.startsWith("./")) rest = rest.slice(2);
    else if (rest.startsWith("../")) {
      rest = rest.slice(3);
      base = base.replace(/(\/|(?<=:))[^/:]*$/, "");
    } else break;
  }
  return base.endsWith(":") ? `${base}${rest}` : `${base}/${rest}`;
}
