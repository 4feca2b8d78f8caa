// The life of a point, as far as transfers go: pinned, committed or voided. Commit and abandonment race on one name by a
// create-only write, and one wins; a pin goes only after either exists. What may happen to a committed point afterwards
// is in point-states.ts, and what is collected, in collect.ts: the three files are one protocol (docs/vault-format.md).

import { HoldfastFailure } from "../base/failure.ts";
import { claimedKind } from "./format/envelope.ts";
import type { WrittenPack } from "./format/fragment.ts";
import type { VaultKey } from "./format/keys.ts";
import {
  decodeManifest,
  decodeVoid,
  encodeManifest,
  encodeVoid,
  type Manifest,
  type VoidRecord,
} from "./format/manifest.ts";
import {
  type PointId,
  packName,
  packsOf,
  pinName,
  pointName,
  pointPacksName,
  stateName,
  type TransferId,
} from "./format/names.ts";
import { decodePointPacks, encodePointPacks, type PackCounts } from "./format/pack-counts.ts";
import { encodeRecord, type PinRecord, pinRecord, stateRecord } from "./format/records.ts";
import { createOrAdopt, isKind, listObjects, readIfPresent, readRecord, seal, sha256Of, unseal } from "./objects.ts";
import { requireWritable, type Vault } from "./open-vault.ts";

export type PointContent =
  | { readonly kind: "manifest"; readonly manifest: Manifest; readonly digest: string; readonly storeDate: Date }
  | { readonly kind: "void"; readonly void: VoidRecord };

/** What stands at a point's name; undefined when nothing does. */
export async function readPoint(vault: Vault, point: PointId): Promise<PointContent | undefined> {
  const name = pointName(point);
  const found = await readIfPresent(vault.archive, name);
  if (!found) return undefined;
  const kind = claimedKind(found.body, name) === "void" ? "void" : "manifest";
  const payload = unseal(vault, { kind, ...point }, found.body);
  if (kind === "void") return { kind, void: decodeVoid(payload, name) };
  const manifest = decodeManifest(payload, name);
  return { kind, manifest, digest: sha256Of(found.body).toString("hex"), storeDate: found.storeDate };
}

export async function readManifest(vault: Vault, point: PointId) {
  const content = await readPoint(vault, point);
  if (content?.kind === "manifest") return content;
  throw new HoldfastFailure(
    "not-found",
    "HoldfastPointNotFound",
    `There is no point ${point.transfer} of ${point.item}`,
  );
}

export async function readPointPacks(vault: Vault, point: PointId): Promise<PackCounts[]> {
  const name = pointPacksName(point);
  const found = await readIfPresent(vault.archive, name);
  if (!found) throw new HoldfastFailure("corrupt", "HoldfastPacksMissing", `${name} is missing`);
  return decodePointPacks(unseal(vault, { kind: "packs", ...point }, found.body), name);
}

/**
 * Pins a transfer and the points it borrows from; after this they stay until the pin goes. Asked again, it adopts its own
 * pin. Fails with "conflict" when the transfer is over already, or when a borrowed point is deleted: then nothing is pinned.
 * Answers the data key of the transfer: the one its pin was written under, whatever key has become the active one since.
 */
export async function beginTransfer(vault: Vault, point: PointId, borrowed: readonly PointId[]): Promise<VaultKey> {
  requireWritable(vault);
  const pin: PinRecord = { kind: "transfer", ...point, points: [...borrowed], createdAt: nowOf(vault), note: "" };
  const keyId = await createPin(vault, pin);
  if (await readPoint(vault, point)) {
    await vault.state.delete(pinName(point.transfer));
    throw new HoldfastFailure("conflict", "HoldfastTransferOver", `Transfer ${point.transfer} is over already`);
  }
  try {
    for (const source of borrowed) await requireBorrowable(vault, source);
  } catch (cause) {
    // A store that is not to be had for a moment says nothing about the point: asked again, the pin is adopted.
    if (isKind(cause, "conflict") || isKind(cause, "not-found")) {
      await abandonTransfer(vault, point, "a point it borrows from is gone");
    }
    throw cause;
  }
  return vault.keyOf(keyId);
}

/** Pins points for something that reads them (reader-pins.ts). When one of them is deleted or gone, nothing is pinned. */
export async function pinPoints(vault: Vault, pin: PinRecord): Promise<void> {
  await createPin(vault, pin);
  try {
    for (const point of pin.points) await requireBorrowable(vault, point);
  } catch (cause) {
    await vault.state.delete(pinName(pin.transfer));
    throw cause;
  }
}

async function createPin(vault: Vault, pin: PinRecord): Promise<VaultKey["keyId"]> {
  const name = pinName(pin.transfer);
  const body = encodeRecord(vault.activeKey, vault.vaultId, name, pin);
  await vault.state.create(name, body).catch(unlessConflict);
  const found = await readRecord(vault, pinRecord, name);
  if (!found) throw new HoldfastFailure("conflict", "HoldfastTransferOver", `Transfer ${pin.transfer} is over already`);
  const samePoints = JSON.stringify(found.body.points) === JSON.stringify(pin.points);
  if (found.body.kind === pin.kind && found.body.item === pin.item && samePoints) return found.keyId;
  throw new HoldfastFailure("conflict", "HoldfastTransferTaken", `Another transfer has the id ${pin.transfer}`);
}

function unlessConflict(cause: unknown): void {
  if (!isKind(cause, "conflict")) throw cause;
}

/** The state first, then the manifest: from an undropped state on, our pin keeps the manifest where it is. */
async function requireBorrowable(vault: Vault, point: PointId): Promise<void> {
  const state = (await readRecord(vault, stateRecord, stateName(point)))?.body;
  if (state?.deletedAt || state?.droppingSince) {
    throw new HoldfastFailure(
      "conflict",
      "HoldfastPointDeleted",
      `Point ${point.transfer} of ${point.item} is deleted`,
    );
  }
  await readManifest(vault, point);
}

export interface Commit {
  readonly point: PointId;
  readonly key: VaultKey;
  readonly manifest: Manifest;
  /** For each disk of the manifest. */
  readonly packCounts: readonly PackCounts[];
  /** Every pack that fragments and seals of this transfer list. */
  readonly written: readonly WrittenPack[];
}

/**
 * Makes the point exist. The last write is the backup; asked again, it finds that write and adopts it. The caller then
 * writes what mirrors the point elsewhere, and releases the pin last.
 */
export async function commitTransfer(vault: Vault, commit: Commit): Promise<Manifest> {
  const { point, key } = commit;
  const earlier = await outcomeOf(vault, point);
  if (earlier) return earlier;
  if (!(await readRecord(vault, pinRecord, pinName(point.transfer)))) throw transferOver(point, "its pin is gone");
  await requireStored(vault, point.transfer, commit);
  const packs = seal(vault, key, { kind: "packs", ...point }, encodePointPacks(commit.packCounts));
  await adoptEqualPacks(vault, commit, await createOrAdopt(vault.archive, pointPacksName(point), packs));
  const body = seal(vault, key, { kind: "manifest", ...point }, encodeManifest(commit.manifest));
  await createOrAdopt(vault.archive, pointName(point), body);
  const outcome = await outcomeOf(vault, point);
  if (outcome) return outcome;
  throw new HoldfastFailure("corrupt", "HoldfastManifestLost", `The manifest of ${point.transfer} vanished at once`);
}

/** The last step of a transfer, when the point is known everywhere it should be. */
export async function releaseTransfer(vault: Vault, point: PointId): Promise<void> {
  if (!(await readPoint(vault, point))) throw transferOver(point, "it was never committed");
  await vault.state.delete(pinName(point.transfer));
}

/** Gives a transfer up for good, unless it is committed already: says which of the two it is. */
export async function abandonTransfer(vault: Vault, point: PointId, reason: string): Promise<"void" | "committed"> {
  const record: VoidRecord = { ...point, reason, createdAt: nowOf(vault) };
  const body = seal(vault, vault.activeKey, { kind: "void", ...point }, encodeVoid(record));
  await createOrAdopt(vault.archive, pointName(point), body);
  const content = await readPoint(vault, point);
  if (!content)
    throw new HoldfastFailure("corrupt", "HoldfastVoidLost", `The void of ${point.transfer} vanished at once`);
  await vault.state.delete(pinName(point.transfer));
  return content.kind === "void" ? "void" : "committed";
}

async function outcomeOf(vault: Vault, point: PointId): Promise<Manifest | undefined> {
  const content = await readPoint(vault, point);
  if (content?.kind === "void") throw transferOver(point, `it was given up: ${content.void.reason}`);
  return content?.manifest;
}

/** Every pack that the point will speak of as its own lies in the store, with the length and MD5 it was sent with. */
async function requireStored(vault: Vault, transfer: TransferId, commit: Commit): Promise<void> {
  const stored = new Map<string, { sizeBytes: number; md5: string | undefined }>();
  for await (const object of listObjects(vault.archive, packsOf(transfer))) stored.set(object.name, object);
  const listed = new Set<string>();
  for (const { number, sizeBytes, md5 } of commit.written) {
    const name = packName({ transfer, number });
    listed.add(name);
    const found = stored.get(name);
    if (!found) throw notStored(name, "is missing");
    if (found.sizeBytes !== sizeBytes) throw notStored(name, "has another length than was sent");
    if (found.md5 !== undefined && found.md5 !== md5) throw notStored(name, "has other bytes than were sent");
  }
  for (const counts of commit.packCounts) {
    for (const { pack } of counts.list()) {
      if (pack.transfer === transfer && !listed.has(packName(pack)))
        throw notStored(packName(pack), "is in no fragment");
    }
  }
}

/** Fragments are create-only, so every execution counts the same; anything else would let live packs be collected. */
async function adoptEqualPacks(vault: Vault, commit: Commit, found: Uint8Array): Promise<void> {
  const payload = unseal(vault, { kind: "packs", ...commit.point }, found);
  if (payload.equals(encodePointPacks(commit.packCounts))) return;
  throw new HoldfastFailure(
    "corrupt",
    "HoldfastPacksDiffer",
    `Transfer ${commit.point.transfer} was counted in two ways`,
  );
}

function notStored(name: string, why: string): HoldfastFailure {
  return new HoldfastFailure("corrupt", "HoldfastPackNotStored", `${name} ${why}; nothing was committed`, {
    hint: "Void the transfer and back up again.",
  });
}

function transferOver(point: PointId, why: string): HoldfastFailure {
  return new HoldfastFailure(
    "conflict",
    "HoldfastTransferOver",
    `Transfer ${point.transfer} cannot be committed: ${why}`,
  );
}

function nowOf(vault: Vault): string {
  return vault.clock.now().toISOString();
}

export function readPin(vault: Vault, transfer: TransferId) {
  return readRecord(vault, pinRecord, pinName(transfer));
}
