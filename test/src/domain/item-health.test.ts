import { describe, expect, it } from "vitest";
import { healthOf } from "../../../src/domain/item-health.ts";

describe("the health of an item", () => {
  it("is passing at a first failure and lasting when the same comes again, by whose turn it is", () => {
    expect(healthOf([])).toBe("Healthy");
    expect(healthOf([undefined, "AzureVmOffline"])).toBe("Healthy");
    expect(healthOf(["AzureVmOffline", undefined])).toBe("TransientDegraded");
    expect(healthOf(["AzureVmOffline", "AzureVmOffline"])).toBe("PersistentDegraded");
    expect(healthOf(["SomethingElse", "AzureVmOffline"])).toBe("TransientUnhealthy");
    expect(healthOf(["SomethingElse", "SomethingElse"])).toBe("PersistentUnhealthy");
  });
});
