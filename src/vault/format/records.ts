// The small JSON objects of the state container, and the key records. They are readable as they lie, and carry a MAC over
// vault, name and body, so that none can be forged, moved or taken from another vault; a sequence number tells writes apart.
//
// {"body":{...},"keyId":"...","mac":"<hex>"}, canonical.

import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { HoldfastFailure } from "../../base/failure.ts";
import { encodeJson, type Json } from "./canonical-json.ts";
import { FORMAT_VERSION } from "./envelope.ts";
import type { VaultKey } from "./keys.ts";
import { count, hexDigest, instant, itemId, keyId, parseJson, transferId } from "./schema.ts";

const point = z.strictObject({ item: itemId, transfer: transferId });

export const vaultRecord = z.strictObject({
  format: z.number().int(),
  vaultId: z.string().regex(/^[0-9a-f]{32}$/),
  /** Which copy of the vault this is, and where it was told to live: elsewhere it is read-only until adopted. */
  instanceId: z.string().regex(/^[0-9a-f]{32}$/),
  locations: z.strictObject({ archive: z.string(), state: z.string() }),
  name: z.string(),
  createdAt: instant,
  sequence: count,
  /** A program that does not know one of these refuses the vault. */
  requiredFeatures: z.array(z.string()),
  optionalFeatures: z.array(z.string()),
  suite: z.enum(["none", "aes-256-gcm"]),
  activeKeyId: keyId,
  /** Wrappings that open the vault no more, save for whoever insists. Each data key keeps one that is not listed here. */
  retired: z.array(z.strictObject({ keyId, wrapping: count })).optional(),
  defaults: z.strictObject({
    chunkBytes: count,
    compressionLevel: z.number().int(),
    softDeleteDays: count,
    dedupScope: z.enum(["item", "vault"]),
  }),
});
export type VaultRecord = z.infer<typeof vaultRecord>;

/** What may change about a point after it was committed. Absent means: nothing has. */
export const stateRecord = z.strictObject({
  item: itemId,
  transfer: transferId,
  sequence: count,
  hold: z.string().nullable(),
  keepUntil: instant.nullable(),
  deletedAt: instant.nullable(),
  deletedReason: z.string(),
  /** Set once, never taken back: the manifest is about to go. */
  droppingSince: instant.nullable(),
});
export type StateRecord = z.infer<typeof stateRecord>;

/**
 * Serialises deletions within an item. A claim on (point, sequence of its sidecar) lets exactly that sidecar be replaced
 * by one that says deleted; while the sidecar has that sequence, the point does not count as one that stays.
 */
export const itemRecord = z.strictObject({
  item: itemId,
  sequence: count,
  deleting: z.array(z.strictObject({ transfer: transferId, sequence: count })),
});
export type ItemRecord = z.infer<typeof itemRecord>;

export const pinRecord = z.strictObject({
  kind: z.enum(["transfer", "read", "copy"]),
  transfer: transferId,
  item: itemId.nullable(),
  /** Points that must not go while this pin stands. */
  points: z.array(point),
  createdAt: instant,
  note: z.string(),
});
export type PinRecord = z.infer<typeof pinRecord>;

export const damageRecord = z.strictObject({
  transfer: transferId,
  number: z.string().regex(/^[0-9a-f]{16}$/),
  sequence: count,
  /** The whole pack is gone or cannot be read. */
  whole: z.boolean(),
  chunkIds: z.array(hexDigest),
  foundAt: instant,
});
export type DamageRecord = z.infer<typeof damageRecord>;

export const keyRecord = z.strictObject({
  format: z.number().int(),
  keyId,
  suite: z.enum(["none", "aes-256-gcm"]),
  wrapped: z
    .strictObject({ wrapperId: z.string(), version: z.string(), algorithm: z.string(), bytes: z.string() })
    .nullable(),
  checkValue: hexDigest,
  createdAt: instant,
});
export type KeyRecord = z.infer<typeof keyRecord>;

const macEnvelope = z.strictObject({ body: z.json(), keyId, mac: hexDigest });

export function encodeRecord(key: VaultKey, vaultId: string, name: string, body: Json): Buffer {
  return encodeJson({ body, keyId: key.keyId, mac: macOf(key, vaultId, name, body).toString("hex") });
}

/** The body, if the record is authentic: written under one of the vault's keys, for this vault and this name. */
export function decodeRecord<T extends z.ZodType>(...record: Parameters<typeof openRecord<T>>): z.infer<T> {
  return openRecord(...record).body;
}

/** The same, with the key that it was written under. */
export function openRecord<T extends z.ZodType>(
  schema: T,
  keyOf: (id: VaultKey["keyId"]) => VaultKey,
  vaultId: string,
  name: string,
  bytes: Uint8Array,
): { readonly body: z.infer<T>; readonly keyId: VaultKey["keyId"] } {
  const { body, keyId: id, mac } = parseJson(macEnvelope, bytes, name);
  if (!timingSafeEqual(macOf(keyOf(id), vaultId, name, body as Json), Buffer.from(mac, "hex"))) {
    throw new HoldfastFailure("corrupt", "HoldfastNotAuthentic", `${name} was changed by something that has no key`);
  }
  return { body: parseJson(schema, encodeJson(body as Json), name), keyId: id };
}

/** The body as it claims to be, for the one record that says which key opens the vault. */
export function unverifiedRecord<T extends z.ZodType>(schema: T, name: string, bytes: Uint8Array): z.infer<T> {
  const { body } = parseJson(macEnvelope, bytes, name);
  return parseJson(schema, encodeJson(body as Json), name);
}

function macOf(key: VaultKey, vaultId: string, name: string, body: Json): Buffer {
  const bound = encodeJson({ format: FORMAT_VERSION, vaultId, name, keyId: key.keyId, body });
  return createHmac("sha256", key.recordKey()).update(bound).digest();
}
