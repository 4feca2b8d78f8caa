// Recovery points as backups leave them: a row, a snapshot, and a committed manifest in the vault's archive.

import { ITEM_ROWS, itemPlace } from "../../src/control/rows/item-row.ts";
import { POINT_ROWS, type PointBody, pointPlace } from "../../src/control/rows/point-row.ts";
import { insertRow, readRow } from "../../src/control/rows/row-kind.ts";
import { parseItemId } from "../../src/vault/format/names.ts";
import { type ControlWorld, ITEM, VAULT } from "./control-world.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { SUBSCRIPTION, vmIdOf } from "./memory-machines.ts";
import { CHUNK } from "./vault-fixture.ts";

export async function addPoint(
  world: ControlWorld,
  pointId: string,
  { inVault, more = {} }: { readonly inVault: boolean; readonly more?: Partial<PointBody> },
): Promise<PointBody> {
  const held = await readRow(world.tables, ITEM_ROWS, itemPlace(VAULT, ITEM));
  if (!held) throw new Error("a point belongs to an item");
  const collection = { subscriptionId: SUBSCRIPTION, resourceGroup: "AzureBackupRG_westeurope_1", name: "web-1" };
  const ref = { collection, name: `snapshot-${pointId}` };
  const location = "westeurope";
  await world.snapshots.begin({
    ...{ snapshot: ref, machineId: vmIdOf("web-1"), location, crashConsistentOnly: false, excludedDiskIds: [] },
  });
  const disk = (lun: number, name: string) => ({
    ...{
      lun,
      name,
      sizeBytes: CHUNK,
      snapshotDiskId: `${ref.name}/${name}`,
      diskUniqueId: name,
      skuName: "Standard_LRS",
    },
  });
  const point: PointBody = {
    ...{ pointId, jobId: `job-of-${pointId}`, time: world.now.toISOString(), scheduledAt: null },
    ...{ consistency: "crash", consistencyReason: "", tags: [], isPromoted: false, isCatchUp: false, policy: null },
    ...{ retainUntil: null, keepUntil: null, isHeld: false },
    snapshot: { state: "valid", ref, disks: [disk(-1, "os"), disk(0, "data")] },
    archive: inVault ? await commitPoint(world, held.body.archiveItem) : null,
    machine: {
      ...{ kind: "resource-manager", vmId: "id", sizeName: "s", osType: "Linux", location, zones: [] },
      ...{ securityType: "None", attachedDiskCount: 2, excludedDisks: [] },
    },
    ...more,
  };
  await insertRow(world.tables, POINT_ROWS, pointPlace(VAULT, ITEM, pointId), point);
  return point;
}

async function commitPoint(world: ControlWorld, archiveItem: string): Promise<NonNullable<PointBody["archive"]>> {
  const [archive] = world.archives.prepared.values();
  if (!archive) throw new Error("no archive was prepared");
  const disk = new MemoryDisk(CHUNK);
  disk.fill(0, CHUNK, 7);
  const item = parseItemId(archiveItem);
  const { transfer } = await archive.vault.backUp(disk.snapshot(), { item });
  return { transfer, storedBytes: CHUNK };
}
