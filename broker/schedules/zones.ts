import { closest, NavvyError } from "../../protocol/index.js";

/** The time zone of this machine. */
export function localTimezone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** @returns the zone as the IANA database spells it. @throws NavvyError invalid_argument, with the one that was probably meant */
export function checkTimezone(name: string): string {
  try {
    // Offsets such as +02:00 are refused too where Node takes them: they know no daylight-saving time.
    if (/^[A-Za-z]/.test(name)) return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    // Not known: said below.
  }
  const meant = suggestZone(name);
  throw new NavvyError("invalid_argument", `time zone ${JSON.stringify(name)} is not known${meant ? `; did you mean ${meant}?` : ""}`, {
    why: "a zone is named as in the IANA database: Europe/Berlin, America/New_York, Asia/Kolkata, UTC",
    fix: `--tz ${meant ?? localTimezone()}`,
  });
}

/** By the whole name, or by its last part: a city. */
function suggestZone(name: string): string | undefined {
  const zones = [...Intl.supportedValuesOf("timeZone"), "UTC"];
  const whole = closest(name, zones);
  if (whole !== undefined) return whole;
  const cityOf = (zone: string) => zone.slice(zone.lastIndexOf("/") + 1);
  const city = closest(cityOf(name.replaceAll(" ", "_")), zones.map(cityOf));
  return city === undefined ? undefined : zones.find((zone) => cityOf(zone) === city);
}
