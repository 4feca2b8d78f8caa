import { describe, expect, it } from "vitest";
import { InvariantViolation } from "../../../src/base/assert.ts";
import {
  nextPointState,
  POINT_EVENTS,
  POINT_STATES,
  type PointState,
  restoreSourceOf,
  tiersOf,
} from "../../../src/domain/point-states.ts";

describe("a recovery point", () => {
  it("has an answer for every event in every state, and whatever is said twice changes nothing the second time", () => {
    for (const state of POINT_STATES) {
      for (const event of POINT_EVENTS) {
        let next: PointState;
        try {
          next = nextPointState(state, event);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(InvariantViolation);
          continue;
        }
        expect(POINT_STATES).toContain(next);
        expect(nextPointState(next, event)).toBe(next);
      }
    }
  });

  it("that was committed is in the vault, whatever its row had missed", () => {
    for (const state of POINT_STATES)
      expect(restoreSourceOf(nextPointState(state, "transfer-committed"))).toBeDefined();
    for (const state of POINT_STATES) {
      expect(tiersOf(nextPointState(state, "transfer-committed"))).toContainEqual({
        type: "HardenedRP",
        status: "Valid",
      });
    }
  });

  it("keeps its snapshot when its transfer ends without a result", () => {
    expect(nextPointState("Transferring", "transfer-abandoned")).toBe("Snapshot");
  });

  it("never releases the snapshot that its transfer reads", () => {
    expect(() => nextPointState("Transferring", "snapshot-released")).toThrow(InvariantViolation);
  });

  it("shows its tiers as clients read them, and restores from the snapshot as long as there is one", () => {
    expect(POINT_STATES.map((state) => tiersOf(state).map(({ type, status }) => `${type} ${status}`))).toEqual([
      ["InstantRP Valid"],
      ["InstantRP Valid"],
      ["InstantRP Valid", "HardenedRP Valid"],
      ["InstantRP Deleted", "HardenedRP Valid"],
      [],
    ]);
    expect(POINT_STATES.map(restoreSourceOf)).toEqual(["Snapshot", "Snapshot", "Snapshot", "Vault", undefined]);
  });
});
