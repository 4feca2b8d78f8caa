// What a first backup shares with a machine that was made from the same image.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import { SUBSCRIPTION } from "../localhost/azure/support/azure.ts";
import { type ServiceAzure, startServiceAzure } from "../support/azure-service.ts";
import { TestService } from "../support/service.ts";
import { backUp, manifestOf } from "../support/service-work.ts";

let azure: ServiceAzure;
let service: TestService;

beforeAll(async () => {
  const virtualMachines = ["web-01", "web-02"].map((name) => ({ name, image: "linux" }));
  const groups = [{ name: "demo", location: "westeurope", virtualMachines }];
  azure = await startServiceAzure({ subscriptions: [{ id: SUBSCRIPTION, name: "Test", groups }] });
  service = await TestService.start(azure);
});

afterAll(async () => {
  await service.close();
  await azure.stop();
});

async function storedBytes(machine: string): Promise<number> {
  const item = await service.protect(machine);
  const job = await backUp(service, item);
  expect(job).toMatchObject({ status: "Completed" });
  const [point] = await service.points(item);
  const { manifest } = await manifestOf(service, item, point as PointBody);
  return manifest.disks.reduce((sum, { stats }) => sum + stats.storedBytes, 0);
}

describe("A first backup", () => {
  it("stores next to nothing of what a machine from the same image has stored already", async () => {
    const first = await storedBytes("web-01");
    expect(first).toBeGreaterThan(2 ** 20);
    expect(await storedBytes("web-02")).toBeLessThan(first / 20);
  });
});
