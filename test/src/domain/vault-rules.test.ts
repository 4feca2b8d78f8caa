import { describe, expect, it } from "vitest";
import {
  DEFAULT_SOFT_DELETE,
  deletionEventOf,
  refuseWhileImmutable,
  requireImmutabilityChange,
  requireRedundancyChange,
  requireSoftDeleteChange,
  requireVaultName,
  storageTypeStateOf,
  vaultNotEmpty,
} from "../../../src/domain/vault-rules.ts";

const withCode = (code: string) => expect.objectContaining({ code });

describe("a vault", () => {
  it.each(["ab", "a1", "A-", `a${"b".repeat(49)}`, "prod-vault-1"])("may be called %s", (name) => {
    expect(() => requireVaultName(name)).not.toThrow();
  });

  it.each([
    ["a", "shorter than 2"],
    ["", "shorter than 2"],
    [`a${"b".repeat(50)}`, "longer than 50"],
    ["1a", "begin with a letter"],
    ["-a", "begin with a letter"],
    ["äb", "begin with a letter"],
    ["a_b", '"_" is neither'],
    ["a b", '" " is neither'],
  ])("may not be called %s, and hears the one rule that is broken", (name, rule) => {
    expect(() => requireVaultName(name)).toThrow(rule);
  });

  it("keeps its redundancy once it holds an item, soft-deleted or not", () => {
    expect(() => requireRedundancyChange("GeoRedundant", "LocallyRedundant", false)).not.toThrow();
    expect(() => requireRedundancyChange("GeoRedundant", "GeoRedundant", true)).not.toThrow();
    expect(() => requireRedundancyChange("GeoRedundant", "LocallyRedundant", true)).toThrow(
      withCode("HoldfastRedundancyLocked"),
    );
    expect([storageTypeStateOf(true), storageTypeStateOf(false)]).toEqual(["Locked", "Unlocked"]);
  });

  it("keeps soft delete always on, and its days between 14 and 180", () => {
    const on = { state: "AlwaysON" as const, retentionDays: 14 };
    for (const state of ["Enabled", "Disabled"] as const) {
      expect(() => requireSoftDeleteChange(on, { state, retentionDays: 14 })).toThrow(
        withCode("BMSUserErrorDisablingSoftDeleteStateNotAllowed"),
      );
    }
    for (const retentionDays of [13, 181, 14.5]) {
      expect(() => requireSoftDeleteChange(on, { ...on, retentionDays })).toThrow(
        withCode("HoldfastSoftDeleteDaysOutOfRange"),
      );
    }
    for (const retentionDays of [14, 180]) {
      expect(() => requireSoftDeleteChange(DEFAULT_SOFT_DELETE, { state: "Disabled", retentionDays })).not.toThrow();
    }
    expect(deletionEventOf(DEFAULT_SOFT_DELETE)).toBe("delete");
    expect(deletionEventOf({ state: "Disabled", retentionDays: 14 })).toBe("purge");
  });

  it("locks its immutability one way, and only after it was enabled", () => {
    const states = ["Disabled", "Unlocked", "Locked"] as const;
    const allowed = states.flatMap((from) =>
      states.flatMap((to) => {
        try {
          requireImmutabilityChange(from, to);
          return [`${from}-${to}`];
        } catch {
          return [];
        }
      }),
    );
    expect(allowed).toEqual([
      "Disabled-Disabled",
      "Disabled-Unlocked",
      "Unlocked-Disabled",
      "Unlocked-Unlocked",
      "Unlocked-Locked",
      "Locked-Locked",
    ]);
  });

  it("that is immutable refuses with the setting, its state and the first date", () => {
    expect(() => refuseWhileImmutable("Disabled", "Deleting", undefined)).not.toThrow();
    const from = new Date("2027-01-01T00:00:00Z");
    expect(() => refuseWhileImmutable("Locked", "Deleting the point", from)).toThrow(
      /destructive operation.*not supported.*immutabilitySettings\.state is Locked.*2027-01-01/,
    );
  });

  it("that is not empty says so in the words that az looks for", () => {
    expect(vaultNotEmpty("v", 2).message).toContain("existing resources within the vault");
  });
});
