// Every kind of fault of the simulated Azure in every phase of a backup and its restores, one at a time: jobs end as they
// should, bytes stay right, nothing is left.

import { describe, expect, it, vi } from "vitest";
import { AzureDay } from "../support/azure-day.ts";
import type { ServiceAzure } from "../support/azure-service.ts";
import { DAYS, HARMLESS } from "../support/fault-table.ts";
import type { TestService } from "../support/service.ts";
import { onSmallAzure } from "../support/small-azure.ts";

vi.setConfig({ testTimeout: 60_000 });

let azure: ServiceAzure;
let service: TestService;

onSmallAzure((started) => {
  ({ azure, service } = started);
});

describe("A day of backups and restores comes to its end", () => {
  it.each(DAYS.map(({ title, strikes }) => [title, strikes] as const))("with %s", async (_title, strikes) => {
    const day = new AzureDay(azure, service, await service.protect("app-01"));
    const struck = await day.live(strikes);
    expect(await day.faults()).toEqual([]);
    for (const strike of strikes) {
      const { phase, ends = "Completed", code } = strike;
      const { count = 0, job } = struck.get(strike) ?? {};
      expect({ phase, hasStruck: count > 0 }).toEqual({ phase, hasStruck: true });
      if (job) expect({ phase, ends: job.status }).toEqual({ phase, ends });
      if (code !== undefined) expect(job?.failure).toMatchObject({ code });
    }
  });

  it("as always when faults come where they have no place", async () => {
    const day = new AzureDay(azure, service, await service.protect("app-01"));
    await day.live(HARMLESS);
    expect((await service.jobs()).map(({ status }) => status)).toEqual(Array(4).fill("Completed"));
    expect(await day.faults()).toEqual([]);
  });
});
