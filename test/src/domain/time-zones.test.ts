import { describe, expect, it } from "vitest";
import { findTimeZone, requireTimeZone } from "../../../src/domain/time-zones.ts";

describe("a time zone", () => {
  it("has Windows and IANA names, in any case", () => {
    expect(findTimeZone("Pacific Standard Time")).toBe("America/Los_Angeles");
    expect(findTimeZone("pacific standard time")).toBe("America/Los_Angeles");
    expect(findTimeZone("India Standard Time")).toMatch(/Calcutta|Kolkata/);
    expect(findTimeZone("Europe/Berlin")).toBe("Europe/Berlin");
    expect(findTimeZone("UTC")).toMatch(/UTC$/);
  });

  it.each([
    ["Eastern Time", "Eastern Standard Time"],
    ["Berlin", "Europe/Berlin"],
    ["W. Europe Time", "W. Europe Standard Time"],
    ["America/New York", "America/New_York"],
  ])("that is unknown is refused with names like it: %s", (name, suggestion) => {
    expect(() => requireTimeZone(name)).toThrow(suggestion);
  });

  it.each(["+02:00", "", "-05:00"])("is no offset: %s", (name) => {
    expect(findTimeZone(name)).toBeUndefined();
  });
});
