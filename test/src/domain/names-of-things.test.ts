import { describe, expect, it } from "vitest";
import { jobIdOf } from "../../../src/domain/job-id.ts";
import {
  restoreContainerName,
  restoredDiskName,
  restorePointCollectionName,
  restorePointName,
  snapshotGroupName,
  vhdBlobName,
} from "../../../src/domain/names-of-things.ts";

const SUB = "11111111-2222-3333-4444-555555555555";
const VM = `/subscriptions/${SUB}/resourceGroups/Shop-RG/providers/Microsoft.Compute/virtualMachines/Web-1`;

describe("what is created is called", () => {
  const job = jobIdOf({ kind: "Restore", subject: "s", at: new Date(1_000), nonce: "" });

  it("AzureBackupRG_<region>_<n>, or as the policy's affixes say", () => {
    expect(snapshotGroupName("North Europe", 1, { prefix: "", suffix: "" })).toBe("AzureBackupRG_northeurope_1");
    expect(snapshotGroupName("northeurope", 2, { prefix: "rp-", suffix: "-prod" })).toBe("rp-2-prod");
  });

  it("after the machine, and not alike for machines of one name in two groups or of a very long name", () => {
    const long = VM.replace("Web-1", "w".repeat(64));
    expect(restorePointCollectionName(VM)).toMatch(/^AzureBackup_Web-1_[0-9a-f]{12}$/);
    expect(restorePointCollectionName(VM.toUpperCase()).slice(-12)).toBe(restorePointCollectionName(VM).slice(-12));
    expect(restorePointCollectionName(VM.replace("Shop", "Pub"))).not.toBe(restorePointCollectionName(VM));
    expect(restorePointCollectionName(long).length).toBeLessThanOrEqual(80);
  });

  it("after its job, within what Azure allows", () => {
    expect(restoreContainerName(job)).toMatch(/^holdfast-restore-[0-9a-f-]{36}$/);
    expect(restoreContainerName(job).length).toBeLessThanOrEqual(63);
    expect(restorePointName(job)).toBe(`AzureBackup_${job}`);
    expect(restoredDiskName("d".repeat(80), job)).toHaveLength(80);
    expect(restoredDiskName("data", job)).toBe(`data-${job.slice(-12)}`);
    expect(vhdBlobName("data")).toBe("data.vhd");
  });
});
