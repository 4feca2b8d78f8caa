// How partitions and keys are spelled in a table, which forbids some characters in them and bounds their length. The
// spelling is one to one, leaves what most keys consist of as it is (so that their order stays), and can be read by people.

import { createHash } from "node:crypto";

/** A table takes 512 UTF-16 units. */
const MAX_SPELLED = 500;

/** The original is kept beside a key that had to be shortened: its spelling cannot be undone. */
const SHORTENED = "!!";

export function spellKey(text: string): string {
  if (text === "") return "!";
  const spelled = [...Buffer.from(text, "utf8")].map(spellByte).join("");
  if (spelled.length <= MAX_SPELLED) return spelled;
  return `${SHORTENED}${createHash("sha256").update(text).digest("hex")}`;
}

/** Undefined for a shortened one. */
export function unspellKey(spelled: string): string | undefined {
  if (spelled === "!") return "";
  if (spelled.startsWith(SHORTENED)) return undefined;
  const bytes = spelled.match(/![0-9a-f]{2}|[^!]/g) ?? [];
  return Buffer.from(bytes.map(unspellByte)).toString("utf8");
}

function spellByte(byte: number): string {
  const char = String.fromCharCode(byte);
  if (char === "/") return "|";
  return /[A-Za-z0-9._;-]/.test(char) ? char : `!${byte.toString(16).padStart(2, "0")}`;
}

function unspellByte(spelled: string): number {
  if (spelled === "|") return "/".charCodeAt(0);
  return spelled.length === 1 ? spelled.charCodeAt(0) : Number.parseInt(spelled.slice(1), 16);
}
