// How a protected machine's state looks on the wire.

import { describe, expect, it } from "vitest";
import { renderItem } from "../../../../src/api/wire/protected-item.ts";
import type { ItemBody } from "../../../../src/control/rows/item-row.ts";
import { machineNamed } from "../../../support/service-in-memory.ts";

const AT = "2026-03-01T12:00:00.000Z";
const ITEM: ItemBody = {
  ...{ name: "VM;iaasvmcontainerv2;Shop;web", containerName: "IaasVMContainer;iaasvmcontainerv2;Shop;web" },
  ...{ machineKind: "resource-manager", machineId: machineNamed("web").id, machineName: "web", archiveItem: "web-1" },
  ...{ policy: "DefaultPolicy", state: "Protected", protectedAt: AT, disks: { kind: "all", luns: [] } },
  ...{ lastBackup: null, lastPointAt: null, deletedAt: null, purgeAt: null, isPurging: false },
  ...{ formerWeeklyRule: null, extensionNote: null, changingJob: null, collectionNumber: 1 },
};
const ended = (status: string, errorCode: string | null) => ({
  lastBackup: { status, errorCode, at: AT, startedAt: AT, jobId: "j" },
});
const shown = (more: Partial<ItemBody>) => {
  const rendered = renderItem({ vaultPath: "/v", item: { ...ITEM, ...more }, now: new Date(AT) });
  return (rendered as { properties: Record<string, unknown> }).properties;
};

describe("a protected machine", () => {
  it("fares well until a backup fails, and then says what is wrong and what to do", () => {
    expect(shown({})).toMatchObject({ healthStatus: "Passed", protectionStatus: "Healthy" });
    expect(shown(ended("CompletedWithWarnings", "HoldfastAny"))).toMatchObject({ healthStatus: "Passed" });
    expect(shown(ended("Failed", "UserErrorFsFreezeFailed"))).toMatchObject({
      healthStatus: "ActionRequired",
      healthDetails: [{ code: 900016, recommendations: expect.arrayContaining(["Check the file systems with fsck."]) }],
      kpisHealths: { BackupOperationStatusKPI: { resourceHealthStatus: "TransientDegraded" } },
    });
  });

  it("says that its machine is gone", () => {
    expect(shown({ state: "ProtectionError" })).toMatchObject({
      healthStatus: "ActionRequired",
      healthDetails: [{ code: 400094 }],
    });
  });

  it("mentions an extension that is not in place, without being ill for it", () => {
    expect(shown({ extensionNote: "Pending: the machine is not running" })).toMatchObject({
      healthStatus: "Passed",
      healthDetails: [{ code: 400239 }, { message: "Pending: the machine is not running", recommendations: [] }],
    });
  });

  it.each([
    [{ kind: "all", luns: [] }, null],
    [{ kind: "only", luns: [-1, 2] }, { diskExclusionProperties: { diskLunList: [2], isInclusionList: true } }],
    [{ kind: "except", luns: [3] }, { diskExclusionProperties: { diskLunList: [3], isInclusionList: false } }],
  ] as const)("shows the disks that were chosen: %j", (disks, extendedProperties) => {
    expect(shown({ disks: { kind: disks.kind, luns: [...disks.luns] } })).toMatchObject({ extendedProperties });
  });

  it("counts down to the end of soft deletion, and never below nothing", () => {
    const deletion = { deletedAt: "2026-02-15T12:00:00Z", purgeAt: "2026-03-01T11:00:00Z" };
    expect(shown(deletion)).toMatchObject({
      ...{ isScheduledForDeferredDelete: true, deferredDeleteTimeRemaining: "00:00:00.0000000" },
      softDeleteRetentionPeriodInDays: 14,
    });
  });
});
