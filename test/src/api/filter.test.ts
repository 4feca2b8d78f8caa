// `$filter` as clients write it, times included.

import { describe, expect, it } from "vitest";
import { parseFilter, parseFilterTime } from "../../../src/api/filter.ts";

describe("a filter", () => {
  it("admits what all of its conditions name, in any case", () => {
    const filter = parseFilter("backupManagementType eq 'AzureIaasVM' AND status EQ 'inprogress'");
    expect(filter.admits("backupManagementType", "AzureIaasVM")).toBe(true);
    expect(filter.admits("Status", "InProgress")).toBe(true);
    expect(filter.admits("status", "Completed")).toBe(false);
    expect(filter.admits("status", undefined)).toBe(false);
    expect(filter.admits("operation", "Backup")).toBe(true);
  });

  it.each([undefined, "", "  "])("admits everything when it is %j", (text) => {
    expect(parseFilter(text).admits("status", "Failed")).toBe(true);
  });

  it("reads quotes, semicolons, booleans and odd blanks inside", () => {
    const filter = parseFilter(
      "  containerName eq 'iaasvmcontainerv2;it''s;vm and eq' and   includeSoftDeletedRP eq true",
    );
    expect(filter.value("containername")).toBe("iaasvmcontainerv2;it's;vm and eq");
    expect(filter.value("includeSoftDeletedRP")).toBe("true");
  });

  it("bounds a time by two keys, both ends included", () => {
    const filter = parseFilter("endTime eq '2024-12-31 12:00:00 AM' and startTime eq '2024-01-01 12:00:00 AM'");
    const admits = (time: string) => filter.admitsTime("startTime", "endTime", new Date(time));
    expect(admits("2024-01-01T00:00:00.000Z")).toBe(true);
    expect(admits("2024-12-31T00:00:00.000Z")).toBe(true);
    expect(admits("2023-12-31T23:59:59.999Z")).toBe(false);
    expect(admits("2024-12-31T00:00:00.001Z")).toBe(false);
  });

  it.each([
    "status",
    "status eq",
    "status ne 'a'",
    "status eq 'a",
    "status eq 'a' or operation eq 'b'",
    "status eq 'a' and",
    "status eq 'a') and (b eq 'c'",
    "' eq ''",
    "startTime eq 'yesterday'",
    "startTime eq '2024-02-30 01:00:00 AM'",
    `status eq '${"a".repeat(5000)}'`,
  ])("is refused when it reads %s", (text) => {
    expect(() => parseFilter(text)).toThrow(
      expect.objectContaining({ kind: "invalid", code: "InvalidFilterInRequestUri" }),
    );
  });
});

describe("a time in a filter", () => {
  it.each([
    ["2016-01-01 04:00:15 AM", "2016-01-01T04:00:15.000Z"],
    ["2016-01-01 04:00:15 PM", "2016-01-01T16:00:15.000Z"],
    ["2016-01-01 12:00:00 AM", "2016-01-01T00:00:00.000Z"],
    ["2016-01-01 12:00:00 PM", "2016-01-01T12:00:00.000Z"],
    ["2016-01-01 00:00:00 AM", "2016-01-01T00:00:00.000Z"],
    ["2016-01-01 17:30:00", "2016-01-01T17:30:00.000Z"],
    ["2016-01-01", "2016-01-01T00:00:00.000Z"],
    ["2016-01-01T17:30:00.1234567Z", "2016-01-01T17:30:00.123Z"],
    ["2016-01-01T17:30:00+02:00", "2016-01-01T15:30:00.000Z"],
  ])("%s is %s", (text, iso) => {
    expect(parseFilterTime(text).toISOString()).toBe(iso);
  });
});
