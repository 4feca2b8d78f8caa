// The keys that guard functions when the host runs with --enable-auth; without it everyone may call everything, as
// with `func start`. They live in one JSON file that is made with fresh keys when it is missing:
//   { "masterKey", "hostKeys": { name: key }, "functionKeys": { function: { name: key } }, "systemKeys": { name: key } }

import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { HoldfastFailure } from "../../../src/base/failure.ts";

export interface HostKeys {
  readonly masterKey: string;
  readonly hostKeys: Readonly<Record<string, string>>;
  readonly functionKeys: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly systemKeys: Readonly<Record<string, string>>;
}

/** The system key that callers of the durable management addresses present as `code`. */
export const DURABLE_SYSTEM_KEY = "durabletask_extension";

export function openHostKeys(file: string): HostKeys {
  const text = readIfPresent(file);
  if (text !== undefined) return parseHostKeys(text, file);
  const keys = freshKeys();
  mkdirSync(dirname(file), { recursive: true });
  // Readable by the owner alone; "wx" so that two hosts that start at once do not each believe in their own keys.
  writeFileSync(file, `${JSON.stringify(keys, undefined, 2)}\n`, { mode: 0o600, flag: "wx" });
  return keys;
}

/** Whether a key opens a function of this authorization level. */
export function opensFunction(
  keys: HostKeys,
  level: unknown,
  functionName: string,
  presented: string | undefined,
): boolean {
  if (level === "anonymous") return true;
  if (presented === undefined || presented === "") return false;
  if (isSameKey(presented, keys.masterKey)) return true;
  if (level !== "function") return false;
  const own = Object.entries(keys.functionKeys).find(([name]) => name.toLowerCase() === functionName.toLowerCase());
  return [...Object.values(keys.hostKeys), ...Object.values(own?.[1] ?? {})].some((key) => isSameKey(presented, key));
}

export function opensAdmin(keys: HostKeys, presented: string | undefined): boolean {
  return presented !== undefined && isSameKey(presented, keys.masterKey);
}

export function opensDurable(keys: HostKeys, presented: string | undefined): boolean {
  const systemKey = keys.systemKeys[DURABLE_SYSTEM_KEY];
  if (presented === undefined) return false;
  return isSameKey(presented, keys.masterKey) || (systemKey !== undefined && isSameKey(presented, systemKey));
}

/** Takes the same time wherever the two differ; an empty key opens nothing. */
function isSameKey(presented: string, key: string): boolean {
  return key !== "" && timingSafeEqual(hash("sha256", presented, "buffer"), hash("sha256", key, "buffer"));
}

function readIfPresent(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unusable(file, "it cannot be read", cause);
  }
}

function parseHostKeys(text: string, file: string): HostKeys {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unusable(file, "it is no JSON", cause);
  }
  if (!isRecord(value)) throw unusable(file, "it is no JSON object");
  const { masterKey, hostKeys = {}, functionKeys = {}, systemKeys = {} } = value;
  if (typeof masterKey !== "string" || masterKey === "") throw unusable(file, '"masterKey" is missing');
  if (!isKeyRing(hostKeys)) throw unusable(file, '"hostKeys" does not map names to keys');
  if (!isKeyRing(systemKeys)) throw unusable(file, '"systemKeys" does not map names to keys');
  if (!isRecord(functionKeys) || !Object.values(functionKeys).every(isKeyRing)) {
    throw unusable(file, '"functionKeys" does not map functions to named keys');
  }
  return { masterKey, hostKeys, functionKeys: functionKeys as HostKeys["functionKeys"], systemKeys };
}

function freshKeys(): HostKeys {
  return {
    masterKey: freshKey(),
    hostKeys: { default: freshKey() },
    functionKeys: {},
    systemKeys: { [DURABLE_SYSTEM_KEY]: freshKey() },
  };
}

function freshKey(): string {
  return randomBytes(40).toString("base64url");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isKeyRing(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((key) => typeof key === "string" && key !== "");
}

function unusable(file: string, what: string, cause?: unknown): HoldfastFailure {
  return new HoldfastFailure("invalid", "HostKeysUnusable", `The key file ${file} cannot be used: ${what}`, {
    hint: "Repair it, or delete it: the next start makes a new one with fresh keys.",
    ...(cause === undefined ? {} : { cause }),
  });
}
