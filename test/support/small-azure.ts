// A simulated Azure whose disks are as small as Azure lets anybody upload, for tests that compare whole disks again and again.
// Each image has a size and bytes of its own, so that no two disks are taken for each other; one disk is large and nearly empty.

import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import type { EstateInput } from "../../localhost/azure/estate/estate-schema.ts";
import { SUBSCRIPTION } from "../localhost/azure/support/azure.ts";
import { type ServiceAzure, startServiceAzure } from "./azure-service.ts";
import { fillBytes } from "./memory-disk.ts";
import { TestService } from "./service.ts";

const MiB = 2 ** 20;
const HEAD_BYTES = MiB;
const TAIL_BYTES = MiB / 2;
const LARGE_BYTES = 100 * MiB;
const SIZES_MIB = { system: 20, orders: 21, log: 22 } as const;

interface Started {
  readonly azure: ServiceAzure;
  readonly service: TestService;
}

/** For a test file: one Azure for all of its tests, and for each a service of its own, handed to `give` before it. */
export function onSmallAzure(give: (started: Started) => void): void {
  let azure: ServiceAzure;
  let service: TestService;
  beforeAll(async () => {
    azure = await startSmallAzure();
  });
  afterAll(async () => {
    expect(azure.defects).toEqual([]);
    await azure.stop();
  });
  beforeEach(async () => {
    service = await TestService.start(azure);
    give({ azure, service });
  });
  afterEach(async () => {
    await azure.noFaults();
    await service.close();
  });
}

async function startSmallAzure(): Promise<ServiceAzure> {
  const folder = await mkdtemp(join(tmpdir(), "small-azure-"));
  const images: Record<string, { path: string }> = {};
  for (const [name, sizeMiB] of Object.entries(SIZES_MIB)) {
    images[name] = { path: join(folder, `${name}.img`) };
    await writeImage(join(folder, `${name}.img`), sizeMiB);
  }
  const azure = await startServiceAzure(estateOf(images));
  for await (const { id = "", diskSizeBytes = 0 } of azure.compute().disks.list())
    if (diskSizeBytes < LARGE_BYTES) await trimMiddle(azure, id, diskSizeBytes);
  return {
    ...azure,
    async stop() {
      await azure.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function estateOf(images: EstateInput["images"]): Partial<EstateInput> {
  const image = (name: keyof typeof SIZES_MIB) => ({ image: name });
  const workload = (kind: "web" | "database", seed: number) => ({ kind, bytesPerSecond: 65_536, seed });
  const group = {
    name: "demo",
    location: "westeurope",
    virtualMachines: [
      { name: "web-01", ...image("system"), workload: workload("web", 1) },
      { name: "app-01", ...image("system"), dataDisks: [image("orders")], workload: workload("database", 2) },
      {
        ...{ name: "db-01", os: "Windows" as const, ...image("system"), workload: workload("database", 3) },
        dataDisks: [image("orders"), image("log"), { sizeGiB: 1, allocatedMiB: 4 }],
      },
    ],
    storageAccounts: [{ name: "demostaging" }],
  };
  return { subscriptions: [{ id: SUBSCRIPTION, name: "Small", groups: [group] }], images };
}

/** An image from a file is allocated from end to end; what holds zeros need not be read all the time. */
async function trimMiddle({ control }: ServiceAzure, diskId: string, sizeBytes: number): Promise<void> {
  const [offset, length] = [HEAD_BYTES, sizeBytes - HEAD_BYTES - TAIL_BYTES];
  await control("DELETE", `guest-pages?disk=${encodeURIComponent(diskId)}&offset=${offset}&length=${length}`);
}

async function writeImage(path: string, sizeMiB: number): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.truncate(sizeMiB * MiB);
    await file.write(fillBytes(HEAD_BYTES, sizeMiB), 0, HEAD_BYTES, 0);
    await file.write(fillBytes(TAIL_BYTES, sizeMiB + 1), 0, TAIL_BYTES, sizeMiB * MiB - TAIL_BYTES);
  } finally {
    await file.close();
  }
}
