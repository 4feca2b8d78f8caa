// JSON with one spelling for each value: sorted keys, no white space, whole numbers below 2^53, no undefined. Decoding
// accepts exactly the spelling that encoding gives, which refuses duplicate keys, odd numbers and trailing bytes at once.

import { assert } from "../../base/assert.ts";
import { malformed } from "./binary.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export function encodeJson(value: Json): Buffer {
  return Buffer.from(spell(value), "utf8");
}

export function decodeJson(bytes: Uint8Array, what: string): Json {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    throw malformed(what, "it is not JSON");
  }
  if (!isSpellable(value) || !encodeJson(value).equals(bytes)) throw malformed(what, "its JSON is not canonical");
  return value;
}

function spell(value: Json): string {
  if (typeof value === "number") assert(Number.isSafeInteger(value), `JSON holds whole numbers only, not ${value}`);
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (isList(value)) return `[${value.map(spell).join(",")}]`;
  const fields = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${spell(value[key] as Json)}`);
  return `{${fields.join(",")}}`;
}

function isSpellable(value: Json): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value);
  if (value === null || typeof value !== "object") return true;
  return isList(value) ? value.every(isSpellable) : Object.values(value).every(isSpellable);
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}
