// Every object name of a vault is composed, and taken apart, here and nowhere else: the layout is a promise for years.
// Names are lower case, at most 200 bytes, and valid as file names on every system.
//
// The container of what is written once ("archive"):          The container of what changes or moves ("state"):
//   packs/<transfer>/<number>.g<generation>                     vault.json
//   points/<item>/<transfer>                                    states/<item>/<transfer>.json
//   points/<item>/<transfer>.packs                              items/<item>.json   policies/<policy>.json
//   keys/<key id>.json, keys/<key id>.<wrapping>.json           damage/<transfer>-<number>.json
//                                                               pins/<transfer>
//                                                               plans/<transfer>/<disk>   fragments/<transfer>/<disk>-<slice>
//                                                               bench/<run>-<count>

import { assert } from "../../base/assert.ts";
import { HoldfastFailure } from "../../base/failure.ts";
import { type ItemId, isItemId } from "../../domain/item-id.ts";
import { malformed } from "./binary.ts";

/** 32 hex digits: 12 of milliseconds since 1970, 20 random ones. Sorts by time, and is never used twice. */
export type TransferId = string & { readonly brand: "TransferId" };
/** 16 random hex digits, unique within a transfer. */
export type PackNumber = string & { readonly brand: "PackNumber" };
/** Chosen by whoever protects something. */
export type { ItemId };
/** 32 hex digits. */
export type KeyId = string & { readonly brand: "KeyId" };

export interface PackId {
  readonly transfer: TransferId;
  readonly number: PackNumber;
}

export interface PointId {
  readonly item: ItemId;
  readonly transfer: TransferId;
}

export const VAULT_RECORD = "vault.json";
export const PACKS_PREFIX = "packs/";
export const POINTS_PREFIX = "points/";
export const KEYS_PREFIX = "keys/";
export const STATES_PREFIX = "states/";
export const ITEMS_PREFIX = "items/";
export const POLICIES_PREFIX = "policies/";
export const DAMAGE_PREFIX = "damage/";
export const PINS_PREFIX = "pins/";
export const PLANS_PREFIX = "plans/";
export const FRAGMENTS_PREFIX = "fragments/";
export const BENCH_PREFIX = "bench/";

export const packName = (pack: PackId, generation = 0) => `${packStem(pack)}g${generation}`;
/** All generations of a pack have this prefix. */
export const packStem = (pack: PackId) => `${packsOf(pack.transfer)}${pack.number}.`;
export const packsOf = (transfer: TransferId) => `${PACKS_PREFIX}${transfer}/`;
export const pointName = (point: PointId) => `${pointsOf(point.item)}${point.transfer}`;
export const pointPacksName = (point: PointId) => `${pointName(point)}.packs`;
export const pointsOf = (item: ItemId) => `${POINTS_PREFIX}${item}/`;
/** A key that was wrapped anew has a record for each wrapping. */
export const keyName = (key: KeyId, wrapping = 0) => `${KEYS_PREFIX}${key}${wrapping === 0 ? "" : `.${wrapping}`}.json`;
export const stateName = (point: PointId) => `${statesOf(point.item)}${point.transfer}.json`;
export const statesOf = (item: ItemId) => `${STATES_PREFIX}${item}/`;
export const itemName = (item: ItemId) => `${ITEMS_PREFIX}${item}.json`;
export const policyName = (policy: string) => `${POLICIES_PREFIX}${policy}.json`;
export const damageName = (pack: PackId) => `${DAMAGE_PREFIX}${packKey(pack)}.json`;
export const pinName = (transfer: TransferId) => `${PINS_PREFIX}${transfer}`;
export const planName = (transfer: TransferId, disk: number) => `${plansOf(transfer)}${disk}`;
export const plansOf = (transfer: TransferId) => `${PLANS_PREFIX}${transfer}/`;
export const fragmentsOf = (transfer: TransferId) => `${FRAGMENTS_PREFIX}${transfer}/`;
export const fragmentName = (transfer: TransferId, disk: number, slice: number | "seal") =>
  `${fragmentsOf(transfer)}${disk}-${slice}`;

/** Written to measure the store, and removed at once. */
export const benchName = (run: string, count: number) => `${BENCH_PREFIX}${run}-${count}`;

export type PointObject =
  | { readonly kind: "manifest-or-void"; readonly point: PointId }
  | { readonly kind: "packs"; readonly point: PointId };

export function parsePointObject(name: string): PointObject {
  const match = /^points\/([^/]+)\/([0-9a-f]{32})(\.packs)?$/.exec(name);
  if (!match || !isItemId(match[1] as string)) throw unknownName(name);
  const point = { item: match[1] as ItemId, transfer: match[2] as TransferId };
  return { kind: match[3] === undefined ? "manifest-or-void" : "packs", point };
}

export function parsePackName(name: string): { readonly pack: PackId; readonly generation: number } {
  const match = /^packs\/([0-9a-f]{32})\/([0-9a-f]{16})\.g(0|[1-9][0-9]{0,5})$/.exec(name);
  if (!match) throw unknownName(name);
  return {
    pack: { transfer: match[1] as TransferId, number: match[2] as PackNumber },
    generation: Number(match[3]),
  };
}

export function parseStateName(name: string): PointId {
  const match = /^states\/([^/]+)\/([0-9a-f]{32})\.json$/.exec(name);
  if (!match || !isItemId(match[1] as string)) throw unknownName(name);
  return { item: match[1] as ItemId, transfer: match[2] as TransferId };
}

export function parseItemName(name: string): ItemId {
  const match = /^items\/([^/]+)\.json$/.exec(name);
  if (!match || !isItemId(match[1] as string)) throw unknownName(name);
  return match[1] as ItemId;
}

export function parsePinName(name: string): TransferId {
  const match = /^pins\/([0-9a-f]{32})$/.exec(name);
  if (!match) throw unknownName(name);
  return match[1] as TransferId;
}

export function parseDamageName(name: string): PackId {
  const match = /^damage\/([0-9a-f]{32})-([0-9a-f]{16})\.json$/.exec(name);
  if (!match) throw unknownName(name);
  return { transfer: match[1] as TransferId, number: match[2] as PackNumber };
}

export function parseKeyName(name: string): { readonly keyId: KeyId; readonly wrapping: number } {
  const match = /^keys\/([0-9a-f]{32})(?:\.([1-9][0-9]{0,5}))?\.json$/.exec(name);
  if (!match) throw unknownName(name);
  return { keyId: match[1] as KeyId, wrapping: Number(match[2] ?? 0) };
}

/** The transfer that a plan or fragment belongs to. */
export function transferOfScratch(name: string): TransferId {
  const match = /^(?:plans|fragments)\/([0-9a-f]{32})\/[0-9]{1,3}(?:-(?:[0-9]{1,9}|seal))?$/.exec(name);
  if (!match) throw unknownName(name);
  return match[1] as TransferId;
}

export function makeTransferId(now: Date, random: Uint8Array): TransferId {
  assert(random.length === 10, "a transfer id takes ten random bytes");
  const time = now.getTime().toString(16).padStart(12, "0");
  assert(time.length === 12, "the clock is out of range");
  return `${time}${Buffer.from(random).toString("hex")}` as TransferId;
}

export function makePackNumber(random: Uint8Array): PackNumber {
  assert(random.length === 8, "a pack number takes eight random bytes");
  return Buffer.from(random).toString("hex") as PackNumber;
}

export function makeKeyId(random: Uint8Array): KeyId {
  assert(random.length === 16, "a key id takes sixteen random bytes");
  return Buffer.from(random).toString("hex") as KeyId;
}

export function parseTransferId(text: string): TransferId {
  if (!/^[0-9a-f]{32}$/.test(text)) throw invalidId("a transfer id is 32 lower-case hex digits", text);
  return text as TransferId;
}

export function parseItemId(text: string): ItemId {
  if (!isItemId(text)) {
    const rule = "an item id is 1-64 of a-z, 0-9 and inner hyphens, and no device name such as con or lpt1";
    throw invalidId(rule, text);
  }
  return text as ItemId;
}

export const samePack = (left: PackId, right: PackId) =>
  left.number === right.number && left.transfer === right.transfer;

/** A pack as a key of maps, and of damage records. */
export const packKey = (pack: PackId) => `${pack.transfer}-${pack.number}`;

export function comparePoints(left: PointId, right: PointId): number {
  return compareText(pointName(left), pointName(right));
}

/** The order of names in listings: by bytes. All names here are ASCII, so code units do. */
export function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function invalidId(rule: string, text: string): HoldfastFailure {
  return new HoldfastFailure("invalid", "HoldfastInvalidId", `${rule}; got "${text}"`);
}

function unknownName(name: string): HoldfastFailure {
  return malformed(`The name "${name}"`, "this vault format has no such object");
}
