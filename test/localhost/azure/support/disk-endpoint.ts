// The data endpoint alone on a real socket, with disks made directly in the store.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import { AccessGrants } from "../../../../localhost/azure/blobs/access-grants.ts";
import { blobSurface } from "../../../../localhost/azure/blobs/blob-surface.ts";
import { DiskStore } from "../../../../localhost/azure/disks/disk-store.ts";
import { FaultPlan } from "../../../../localhost/azure/faults/fault-plan.ts";
import { listen } from "../../../../localhost/azure/http/listener.ts";
import { requestListener } from "../../../../localhost/azure/http/pipeline.ts";
import { AzureState } from "../../../../localhost/azure/state/azure-state.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

export async function startDiskEndpoint() {
  const folder = await mkdtemp(join(tmpdir(), "azure-blobs-"));
  const state = await AzureState.open(folder);
  const disks = await DiskStore.open(state);
  const grants = new AccessGrants(state);
  await grants.prepare();
  const faults = new FaultPlan(state);
  const clock = { aheadMs: 0 };
  const now = () => Date.now() + clock.aheadMs;
  const defects: string[] = [];
  const listener = await listen(
    0,
    requestListener([blobSurface({ disks, grants, now })], {
      faults: { faultsFor: (...asked) => faults.faultsFor(...asked), strike: async () => {} },
      log: { defect: (message) => defects.push(message) },
      settled: () => state.settled(),
    }),
  );
  return {
    state,
    disks,
    grants,
    clock,
    defects,
    origin: listener.origin,
    async disk(sizeBytes: number, from?: number): Promise<number> {
      const id = disks.newId();
      await state.commit([{ kind: "volume-created", id, sizeBytes, ...(from === undefined ? {} : { from }) }]);
      return id;
    },
    async snapshot(of: number): Promise<number> {
      const id = disks.newId();
      await disks.atRest(
        () => [of],
        () => state.commit([{ kind: "volume-frozen", id, of }]),
      );
      return id;
    },
    async sas(volume: number, access: "Read" | "Write" = "Read", seconds = 3600): Promise<string> {
      const { grant, entry } = grants.plan(`volume/${volume}`, volume, access, now(), seconds);
      await state.commit([entry]);
      return grants.url(listener.origin, grant);
    },
    async close(): Promise<void> {
      await listener.close();
      await disks.close();
      await state.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export type DiskEndpoint = Awaited<ReturnType<typeof startDiskEndpoint>>;
