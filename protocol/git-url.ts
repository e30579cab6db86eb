const WITH_CREDENTIALS = /\b([a-z][a-z0-9+.-]*):\/\/([^\s/'"]*)@/gi;
/** Protocols in which a user's name is a credential too: forges take a token in its place. */
const NAMELESS = /^(https?|ftps?)$/i;

/** The URL as it may be written down: over http without user and password, elsewhere without a password. */
export function withoutCredentials(url: string): string {
  return url.replace(WITH_CREDENTIALS, (_whole, scheme: string, user: string) => {
    const name = NAMELESS.test(scheme) ? "" : (user.split(":")[0] ?? "");
    return `${scheme}://${name === "" ? "" : `${name}@`}`;
  });
}

/** A program's output as it may be shown: what could be credentials in a URL of it is starred. */
export function redactUrls(text: string): string {
  return text.replace(WITH_CREDENTIALS, (whole, scheme: string, user: string) => {
    if (!NAMELESS.test(scheme) && !user.includes(":")) return whole;
    return `${scheme}://***@`;
  });
}

/** A commit's full name: sha1 or sha256. */
export function isFullCommit(text: string): boolean {
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}
