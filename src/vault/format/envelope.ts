// The sealed form of every vault object but packs and their chunk frames: a header, a tag, a payload.
//
//   0  4  magic "HFv1"          24 12  nonce (zeros in suite none)
//   4  1  suite                 36 16  tag
//   5  1  kind                  52  4  payload length
//   6  2  format version        56     payload (encrypted in suite aes-256-gcm)
//   8 16  key id
//
// What an object *is* (its kind, vault, item, transfer) is authenticated with it but not stored: a reader says what it
// expects, so an object that was moved or swapped does not open.

import { createCipheriv, createDecipheriv, createHmac, type KeyObject, timingSafeEqual } from "node:crypto";
import { assert } from "../../base/assert.ts";
import { HoldfastFailure } from "../../base/failure.ts";
import { ByteReader, ByteWriter, malformed } from "./binary.ts";
import { encodeJson } from "./canonical-json.ts";
import { PUBLIC_KEY_OBJECT, type VaultKey } from "./keys.ts";
import type { ItemId, KeyId, TransferId } from "./names.ts";

export const FORMAT_VERSION = 1;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
export const ENVELOPE_HEADER_BYTES = 56;
const MAGIC = Buffer.from("HFv1", "ascii");

export const ENVELOPE_KINDS = {
  manifest: 1,
  void: 2,
  packs: 3,
  leaf: 4,
  node: 5,
  "pack-table": 6,
  plan: 7,
  fragment: 8,
  seal: 9,
} as const;
export type EnvelopeKind = keyof typeof ENVELOPE_KINDS;

export interface Binding {
  readonly kind: EnvelopeKind;
  readonly vaultId: string;
  /** Null for pack tables: a pack may serve several items. */
  readonly item: ItemId | null;
  readonly transfer: TransferId;
}

export function sealEnvelope(key: VaultKey, binding: Binding, payload: Uint8Array, nonce: Uint8Array): Buffer {
  assert(nonce.length === NONCE_BYTES, "an envelope takes a nonce of twelve bytes");
  const none = key.suite === "none";
  const usedNonce = none ? new Uint8Array(NONCE_BYTES) : nonce;
  const { tag, body } = none
    ? { tag: publicTag(bindingBytes(key, binding), payload), body: payload }
    : encrypt(key, binding, payload, usedNonce);
  return new ByteWriter(ENVELOPE_HEADER_BYTES + body.length)
    .raw(MAGIC)
    .u8(none ? 0 : 1)
    .u8(ENVELOPE_KINDS[binding.kind])
    .u16(FORMAT_VERSION)
    .raw(Buffer.from(key.keyId, "hex"))
    .raw(usedNonce)
    .raw(tag)
    .sized(body)
    .take();
}

export function openEnvelope(key: VaultKey, binding: Binding, bytes: Uint8Array): Buffer {
  const what = describe(binding);
  const header = readHeader(bytes, what);
  if (header.kind !== binding.kind) throw malformed(what, `it is a ${header.kind}`);
  if (header.keyId !== key.keyId) throw malformed(what, `it is sealed with key ${header.keyId}, not ${key.keyId}`);
  if (header.suite !== key.suite) throw malformed(what, `its suite is ${header.suite}, the vault's is ${key.suite}`);
  if (key.suite === "none") {
    const tag = publicTag(bindingBytes(key, binding), header.body);
    if (!timingSafeEqual(tag, header.tag)) throw notAuthentic(what);
    return header.body;
  }
  return decrypt(key, binding, header, what);
}

/** The kind an object claims to be, before it is opened: enough to choose how to open it, never to believe it. */
export function claimedKind(bytes: Uint8Array, what: string): EnvelopeKind {
  return readHeader(bytes, what).kind;
}

export function claimedKeyId(bytes: Uint8Array, what: string): KeyId {
  return readHeader(bytes, what).keyId;
}

interface Header {
  readonly suite: "none" | "aes-256-gcm";
  readonly kind: EnvelopeKind;
  readonly keyId: KeyId;
  readonly nonce: Buffer;
  readonly tag: Buffer;
  readonly body: Buffer;
}

function readHeader(bytes: Uint8Array, what: string): Header {
  const reader = new ByteReader(bytes, what);
  if (!reader.raw(4).equals(MAGIC)) throw malformed(what, "it is no sealed vault object");
  const suite = reader.u8();
  const kindCode = reader.u8();
  const version = reader.u16();
  if (version !== FORMAT_VERSION) throw unknownVersion(what, version);
  const kind = (Object.keys(ENVELOPE_KINDS) as EnvelopeKind[]).find((name) => ENVELOPE_KINDS[name] === kindCode);
  if (suite > 1 || kind === undefined) throw malformed(what, "its suite or kind is unknown");
  const keyId = reader.raw(16).toString("hex") as KeyId;
  const nonce = reader.raw(NONCE_BYTES);
  const tag = reader.raw(TAG_BYTES);
  const body = reader.sized(bytes.length);
  reader.end();
  return { suite: suite === 0 ? "none" : "aes-256-gcm", kind, keyId, nonce, tag, body };
}

export function unknownVersion(what: string, version: number): HoldfastFailure {
  return new HoldfastFailure(
    "invalid",
    "HoldfastUnknownFormatVersion",
    `${what} has format version ${version}; this program knows ${FORMAT_VERSION}`,
    { hint: "Use a newer release of Holdfast." },
  );
}

function encrypt(key: VaultKey, binding: Binding, payload: Uint8Array, nonce: Uint8Array) {
  const cipher = createCipheriv("aes-256-gcm", keyFor(key, binding), nonce);
  cipher.setAAD(bindingBytes(key, binding));
  const body = Buffer.concat([cipher.update(payload), cipher.final()]);
  return { tag: cipher.getAuthTag(), body };
}

function decrypt(key: VaultKey, binding: Binding, header: Header, what: string): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", keyFor(key, binding), header.nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(bindingBytes(key, binding));
  decipher.setAuthTag(header.tag);
  try {
    return Buffer.concat([decipher.update(header.body), decipher.final()]);
  } catch {
    throw notAuthentic(what);
  }
}

function keyFor(key: VaultKey, binding: Binding): KeyObject {
  const label = binding.kind === "manifest" || binding.kind === "void" ? "manifest" : "index";
  return key.pointKey(label, binding.item, binding.transfer);
}

function bindingBytes(key: VaultKey, { kind, vaultId, item, transfer }: Binding): Buffer {
  return encodeJson({ format: FORMAT_VERSION, kind, vaultId, item, transfer, suite: key.suite, keyId: key.keyId });
}

function publicTag(binding: Uint8Array, payload: Uint8Array): Buffer {
  return createHmac("sha256", PUBLIC_KEY_OBJECT).update(binding).update(payload).digest().subarray(0, TAG_BYTES);
}

function notAuthentic(what: string): HoldfastFailure {
  return new HoldfastFailure("corrupt", "HoldfastNotAuthentic", `${what} is damaged or not what it claims to be`);
}

function describe({ kind, item, transfer }: Binding): string {
  return `The ${kind} of ${item ?? "packs"}/${transfer}`;
}
