// The points of a vault as its own objects tell them: what a catalogue is rebuilt from.

import type { Manifest } from "./format/manifest.ts";
import { type ItemId, POINTS_PREFIX, type PointId, parsePointObject, pointsOf } from "./format/names.ts";
import type { StateRecord } from "./format/records.ts";
import { mapInOrder } from "./in-order.ts";
import { listObjects } from "./objects.ts";
import type { Vault } from "./open-vault.ts";
import { readState } from "./point-states.ts";
import { readManifest, readPoint } from "./points.ts";

const READS_AHEAD = 8;

export interface ListedPoint {
  readonly point: PointId;
  readonly manifest: Manifest;
  readonly digest: string;
  readonly state: StateRecord | undefined;
}

/** Committed points that are not on their way out, by item and then by time; deleted ones included. */
export async function* listPoints(vault: Vault, item?: ItemId): AsyncGenerator<ListedPoint> {
  const names = pointNames(vault, item);
  const read = mapInOrder(names, READS_AHEAD, async (point) => ({
    point,
    content: await readPoint(vault, point),
    state: (await readState(vault, point))?.body,
  }));
  for await (const { point, content, state } of read) {
    if (content?.kind !== "manifest" || state?.droppingSince) continue;
    yield { point, manifest: content.manifest, digest: content.digest, state };
  }
}

export async function findPoint(vault: Vault, point: PointId): Promise<ListedPoint> {
  const { manifest, digest } = await readManifest(vault, point);
  return { point, manifest, digest, state: (await readState(vault, point))?.body };
}

/** The newest point that a backup may build on. */
export async function newestPoint(vault: Vault, item: ItemId): Promise<ListedPoint | undefined> {
  let newest: ListedPoint | undefined;
  for await (const listed of listPoints(vault, item)) {
    if (listed.state?.deletedAt) continue;
    if (newest === undefined || listed.manifest.sequence >= newest.manifest.sequence) newest = listed;
  }
  return newest;
}

async function* pointNames(vault: Vault, item: ItemId | undefined): AsyncGenerator<PointId> {
  for await (const { name } of listObjects(vault.archive, item === undefined ? POINTS_PREFIX : pointsOf(item))) {
    const found = parsePointObject(name);
    if (found.kind === "manifest-or-void") yield found.point;
  }
}
