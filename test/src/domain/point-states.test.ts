import { describe, expect, it } from "vitest";
import { InvariantViolation } from "../../../src/base/assert.ts";
import { nextSnapshotState, SNAPSHOT_EVENTS, SNAPSHOT_STATES } from "../../../src/domain/point-states.ts";

describe("the snapshot of a recovery point", () => {
  it("is released first, and gone when the platform says so", () => {
    expect(nextSnapshotState("valid", "released")).toBe("leaving");
    expect(nextSnapshotState("leaving", "gone")).toBe("deleted");
  });

  it("is never removed while a restore may choose it", () => {
    expect(() => nextSnapshotState("valid", "gone")).toThrow(InvariantViolation);
  });

  it("never comes back, and whatever is said twice changes nothing the second time", () => {
    for (const [at, state] of SNAPSHOT_STATES.entries()) {
      for (const event of SNAPSHOT_EVENTS) {
        if (state === "valid" && event === "gone") continue;
        const next = nextSnapshotState(state, event);
        expect(SNAPSHOT_STATES.indexOf(next)).toBeGreaterThanOrEqual(at);
        expect(nextSnapshotState(next, event)).toBe(next);
      }
    }
  });
});
