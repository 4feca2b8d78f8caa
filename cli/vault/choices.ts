// Which point and which disk the user means, and the pin that keeps a point in place while it is read.

import { HoldfastFailure } from "../../src/base/failure.ts";
import type { Manifest, ManifestDisk } from "../../src/vault/format/manifest.ts";
import { parseItemId, parseTransferId } from "../../src/vault/format/names.ts";
import { findPoint, type ListedPoint, listPoints } from "../../src/vault/list-points.ts";
import { isKind } from "../../src/vault/objects.ts";
import type { Vault } from "../../src/vault/open-vault.ts";
import { pinFor, whilePinned } from "../../src/vault/reader-pins.ts";
import { newTransferId } from "../../src/vault/transfer.ts";
import { type Call, nearest, type Option, usage } from "../command-line.ts";
import type { Output } from "../output.ts";

export const POINT_DETAILS =
  "A point is `latest`, its id, or the end of its id, at least four digits of it, if no other point ends so.";

export const DISK_OPTION: Option = { value: "disk", about: "By number from 0, or by name; default: the first" };

export async function chosenPoint(vault: Vault, itemText: string, pointText: string): Promise<ListedPoint> {
  const item = parseItemId(itemText);
  if (/^[0-9a-f]{32}$/.test(pointText)) {
    return findPoint(vault, { item, transfer: parseTransferId(pointText) }).catch((cause) => {
      if (isKind(cause, "not-found")) return refuseNoPoint(vault, itemText, pointText);
      throw cause;
    });
  }
  if (pointText !== "latest" && !/^[0-9a-f]{4,31}$/.test(pointText)) {
    throw usage(`"${pointText}" is no point`, POINT_DETAILS);
  }
  const found: ListedPoint[] = [];
  for await (const listed of listPoints(vault, item)) {
    const isMeant = pointText === "latest" ? !listed.state?.deletedAt : listed.manifest.transfer.endsWith(pointText);
    if (isMeant) found.push(listed);
  }
  if (found.length > 1 && pointText !== "latest") {
    const ids = found.map(({ manifest }) => manifest.transfer).join(", ");
    throw usage(`"${pointText}" may be any of ${ids}`, "Give more digits.");
  }
  return found.at(-1) ?? refuseNoPoint(vault, itemText, pointText);
}

export async function refuseNoPoint(vault: Vault, item: string, point = "latest"): Promise<never> {
  const items = new Set<string>();
  for await (const { manifest } of listPoints(vault)) items.add(manifest.item);
  const hint = items.has(item) ? `\`holdfast vault ls\` lists the points of ${item}.` : nearest(item, [...items]);
  const message =
    point === "latest" ? `There is no point of ${item}` : `There is no point of ${item} ending in ${point}`;
  throw new HoldfastFailure("not-found", "HoldfastPointNotFound", message, hint ? { hint } : {});
}

export function chosenDisk(manifest: Manifest, { flags }: Call): { disk: ManifestDisk; ordinal: number } {
  const text = flags.text("disk") ?? "0";
  const ordinal = /^\d{1,3}$/.test(text) ? Number(text) : manifest.disks.findIndex(({ name }) => name === text);
  const disk = manifest.disks[ordinal];
  if (disk) return { disk, ordinal };
  const names = manifest.disks.map(({ name }, index) => `${index} (${name})`);
  const isNumber = /^\d+$/.test(text);
  if (!isNumber && flags.has("disk") && !/^[\w.-]+\.[\w]+$/.test(text)) {
    throw usage(`There is no disk "${text}"`, `The point has ${names.join(", ")}.`);
  }
  throw new HoldfastFailure("not-found", "HoldfastDiskNotFound", `The point has no disk ${text}`, {
    hint: `It has ${names.join(", ")}.`,
  });
}

/** Reads under a pin, if there can be one: not in a copy, not with read-only access, and not for a deleted point. */
export async function whileReading<T>(
  vault: Vault,
  { point, state }: ListedPoint,
  note: string,
  work: () => Promise<T>,
  output: Output,
): Promise<T> {
  if (!vault.isWritable || state?.deletedAt) return work();
  const pin = pinFor(vault, "read", newTransferId(vault), null, [point], note);
  let isPinned = false;
  try {
    const begin = () => {
      isPinned = true;
      return work();
    };
    return await whilePinned(vault, pin, begin, ({ kind, message }) => {
      if (kind !== "cancelled") output.complain(`holdfast: ${message}`);
    });
  } catch (cause) {
    if (isPinned || !(cause instanceof HoldfastFailure) || cause.kind !== "denied") throw cause;
    return work();
  }
}
