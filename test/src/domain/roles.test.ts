import { describe, expect, it } from "vitest";
import { isPermitted, leastRoleFor, notPermitted, OPERATIONS, ROLES } from "../../../src/domain/roles.ts";

describe("roles", () => {
  it("grow: whatever a Reader may, an Operator may, and whatever he may, a Contributor may", () => {
    for (const operation of OPERATIONS) {
      const [contributor, operator, reader] = ROLES.map((role) => isPermitted(role, operation));
      expect(contributor).toBe(true);
      if (reader) expect(operator).toBe(true);
    }
  });

  it("let a Reader only look, and an Operator destroy nothing and manage neither policies nor vaults", () => {
    const may = (role: (typeof ROLES)[number]) => OPERATIONS.filter((operation) => isPermitted(role, operation));
    expect(may("Backup Reader").every((operation) => /\/read$|^jobs\/export$/.test(operation))).toBe(true);
    const withheld = OPERATIONS.filter((operation) => !isPermitted("Backup Operator", operation));
    expect(withheld).toEqual([
      "vaults/write",
      "vaults/delete",
      "vaults/settings/write",
      "policies/write",
      "policies/delete",
      "containers/delete",
      "items/shorten",
      "items/delete",
      "points/hold",
      "points/delete",
    ]);
    expect(may("Backup Operator")).toEqual(expect.arrayContaining(["items/backup", "points/restore", "items/enable"]));
  });

  it("are named in a refusal: the least that would do", () => {
    expect(leastRoleFor("items/read")).toBe("Backup Reader");
    expect(leastRoleFor("items/backup")).toBe("Backup Operator");
    expect(notPermitted("policies/write", "/v")).toMatchObject({
      code: "AuthorizationFailed",
      hint: expect.stringContaining("Backup Contributor"),
    });
  });
});
