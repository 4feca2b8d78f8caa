// In a file of its own: the library keeps the managed identity's tokens for the whole process.

import { expect, it } from "vitest";
import { azureSnapshots } from "../../../src/azure/azure-snapshots.ts";
import { DiskAccess } from "../../../src/azure/disk-access.ts";
import type { SnapshotState } from "../../../src/ports/snapshots.ts";
import { GROUP, SUBSCRIPTION } from "../../localhost/azure/support/azure.ts";
import { startServiceAzure } from "../../support/azure-service.ts";

it("A snapshot that takes its time is pending, then done; access that takes too long is a failure", async () => {
  const azure = await startServiceAzure({ operationMs: 1500 });
  const arm = azure.connect();
  const patient = azureSnapshots(arm, new DiskAccess(arm));
  const hasty = new DiskAccess(arm, { grantedSeconds: 600, renewBeforeMs: 1_000, operationMs: 200 });
  const snapshot = { collection: { subscriptionId: SUBSCRIPTION, resourceGroup: "points", name: "c" }, name: "slow" };
  try {
    await patient.begin({
      snapshot,
      machineId: `${GROUP}/providers/Microsoft.Compute/virtualMachines/web-01`,
      location: "westeurope",
      crashConsistentOnly: false,
      excludedDiskIds: [],
    });
    expect(await patient.read(snapshot)).toMatchObject({ state: "pending", disks: [] });
    await expect.poll(async () => (await patient.read(snapshot))?.state, { timeout: 20_000 }).toBe("done");
    const { disks, time } = (await patient.read(snapshot)) as SnapshotState;
    const [{ snapshotDiskId = "", diskUniqueId = "" } = {}] = disks;
    const disk = { snapshotDiskId, diskUniqueId, snapshotTime: time };
    await expect(azureSnapshots(arm, hasty).open(disk)).rejects.toMatchObject({ kind: "unavailable" });
    const source = await patient.open(disk);
    expect(source.sizeBytes).toBe(2 ** 30);
    await source.read({ offset: 0, length: 4096 });
    await expect.poll(() => patient.remove(snapshot), { timeout: 20_000 }).toBe("gone");
    expect(azure.defects).toEqual([]);
  } finally {
    await azure.stop();
  }
});
