// Names of time zones: Windows names, which Azure's clients send, and IANA names, which we prefer. The table between the
// two is Unicode's (CLDR); what an IANA name means is up to the runtime's own data.

import { WINDOWS_TO_IANA_MAP } from "windows-iana";
import { HoldfastFailure } from "../base/failure.ts";

/** A name of the IANA database that the runtime knows. */
export type IanaZone = string & { readonly brand: "IanaZone" };

/** Territory 001 is the world: the zone that stands for the Windows name as such. */
const WINDOWS_ZONES: ReadonlyMap<string, string> = new Map(
  WINDOWS_TO_IANA_MAP.filter(({ territory }) => territory === "001").map(({ windowsName, iana }) => [
    windowsName.toLowerCase(),
    iana[0] as string,
  ]),
);
const MAX_SUGGESTIONS = 3;

/** Asking the runtime takes longer than all else that a schedule computes. */
const found = new Map<string, IanaZone>();

export function findTimeZone(name: string): IanaZone | undefined {
  const known = found.get(name);
  if (known !== undefined) return known;
  const zone = WINDOWS_ZONES.get(name.toLowerCase()) ?? name;
  if (!isIanaName(zone)) return undefined;
  found.set(name, zone as IanaZone);
  return zone as IanaZone;
}

export function requireTimeZone(name: string): IanaZone {
  const zone = findTimeZone(name);
  if (zone !== undefined) return zone;
  throw new HoldfastFailure("invalid", "BMSUserErrorInvalidPolicyInput", unknownTimeZone(name), {
    hint: "Use a Windows name (Pacific Standard Time) or an IANA name (America/Los_Angeles).",
  });
}

export function unknownTimeZone(name: string): string {
  return `There is no time zone "${name}"; did you mean ${similarNames(name).join(", ")}?`;
}

function isIanaName(name: string): boolean {
  // The runtime takes offsets as well; such a zone would never follow daylight saving, and is rarely what was meant.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function similarNames(name: string): string[] {
  const windowsNames = new Set<string>(WINDOWS_TO_IANA_MAP.map(({ windowsName }) => windowsName));
  return [...windowsNames, ...Intl.supportedValuesOf("timeZone")]
    .map((known) => ({ known, likeness: likenessOf(name, known) }))
    .sort((one, other) => other.likeness - one.likeness)
    .slice(0, MAX_SUGGESTIONS)
    .map(({ known }) => known);
}

/** The share of pairs of letters that two names have in common (Dice's coefficient). */
function likenessOf(one: string, other: string): number {
  const [left, right] = [pairsOf(one), pairsOf(other)];
  const shared = [...left].filter((pair) => right.has(pair)).length;
  return (2 * shared) / (left.size + right.size + 1);
}

function pairsOf(text: string): Set<string> {
  const letters = text.toLowerCase();
  return new Set(Array.from({ length: Math.max(0, letters.length - 1) }, (_, at) => letters.slice(at, at + 2)));
}
