import { describe, expect, it } from "vitest";
import { catalogEntryOf, FAILURE_CATALOG } from "../../../src/domain/failure-catalog.ts";

describe("the catalogue of failures", () => {
  it("gives every code a number, a title, a message and something to do", () => {
    for (const [code, { number, title, message, recommendedActions }] of Object.entries(FAILURE_CATALOG)) {
      expect(code).toMatch(/^[A-Z][A-Za-z0-9]+$/);
      expect(Number.isSafeInteger(number)).toBe(true);
      expect([title, message, ...recommendedActions].every((text) => text.length > 5)).toBe(true);
      expect(recommendedActions.length).toBeGreaterThan(0);
    }
    expect(FAILURE_CATALOG.ResourceNotFound.number).toBe(320001);
    expect(FAILURE_CATALOG.BCMV2VMNotFound.number).toBe(400094);
    expect(FAILURE_CATALOG.AzureVmOffline.number).toBe(380008);
  });

  it("gives one number to one meaning", () => {
    const byNumber = Map.groupBy(Object.values(FAILURE_CATALOG), ({ number }) => number);
    for (const [, entries] of byNumber) expect(new Set(entries.map(({ title }) => title)).size).toBe(1);
  });

  it("has an answer for codes it does not know, and for names that every object has", () => {
    expect(catalogEntryOf("SomethingElse")).toMatchObject({ fault: "Service", isTransient: false });
    expect(catalogEntryOf("constructor").recommendedActions).toHaveLength(1);
  });
});
