import { describe, expect, it } from "vitest";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import {
  ITEM_EVENTS,
  ITEM_STATES,
  type ItemEvent,
  type ItemState,
  nextItemState,
  purgeTimeOf,
} from "../../../src/domain/item-states.ts";

const stateAfter = (state: ItemState, event: ItemEvent, hasPoints = true) =>
  nextItemState({ state, hasPoints, name: "web-1" }, event);

describe("an item", () => {
  it("has an answer for every event in every state: a state, or a failure with a code", () => {
    for (const state of ITEM_STATES) {
      for (const event of ITEM_EVENTS) {
        try {
          expect(ITEM_STATES).toContain(stateAfter(state, event));
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(HoldfastFailure);
          expect((thrown as HoldfastFailure).message).toContain("web-1");
        }
      }
    }
  });

  it("is protected with its first backup, and stays so when later ones fail", () => {
    expect(stateAfter("NotProtected", "enable")).toBe("IRPending");
    expect(stateAfter("IRPending", "backup-failed")).toBe("IRPending");
    expect(stateAfter("IRPending", "backup-succeeded")).toBe("Protected");
    expect(stateAfter("Protected", "backup-failed")).toBe("Protected");
  });

  it("whose machine is gone is in error until it is back or a backup succeeds", () => {
    expect(stateAfter("Protected", "machine-lost")).toBe("ProtectionError");
    expect(stateAfter("ProtectionError", "machine-found")).toBe("Protected");
    expect(stateAfter("ProtectionError", "machine-found", false)).toBe("IRPending");
    expect(stateAfter("ProtectionError", "backup-succeeded")).toBe("Protected");
  });

  it("that is deleted can be undeleted, is then stopped with its data, and can be resumed", () => {
    expect(stateAfter("Protected", "delete")).toBe("SoftDeleted");
    expect(stateAfter("SoftDeleted", "undelete")).toBe("ProtectionStopped");
    expect(stateAfter("ProtectionStopped", "resume")).toBe("Protected");
    expect(stateAfter("ProtectionStopped", "resume", false)).toBe("IRPending");
  });

  it("that is soft-deleted comes back only by undelete, and goes only by purge", () => {
    for (const event of ITEM_EVENTS.filter((one) => one !== "undelete" && one !== "purge")) {
      try {
        expect(stateAfter("SoftDeleted", event)).toBe("SoftDeleted");
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: "HoldfastItemStateForbids" });
      }
    }
    expect(stateAfter("SoftDeleted", "purge")).toBe("NotProtected");
  });

  it("takes no backup while it is stopped, suspended, soft-deleted or not protected", () => {
    for (const state of ["ProtectionStopped", "BackupsSuspended", "SoftDeleted", "NotProtected"] as const) {
      expect(() => stateAfter(state, "back-up")).toThrow(HoldfastFailure);
    }
  });

  it("is not moved by the end of a backup that was live when it was stopped", () => {
    for (const state of ["ProtectionStopped", "BackupsSuspended", "SoftDeleted", "NotProtected"] as const) {
      expect(stateAfter(state, "backup-succeeded")).toBe(state);
      expect(stateAfter(state, "backup-failed")).toBe(state);
    }
  });

  it("is not found when it is not there", () => {
    expect(() => stateAfter("NotProtected", "restore")).toThrow(
      expect.objectContaining({ kind: "not-found", code: "BMSUserErrorDataSourceObjectNotFound" }),
    );
  });

  it("that is soft-deleted is gone for good after the days that its vault keeps such data", () => {
    expect(purgeTimeOf(new Date("2026-03-20T10:11:12Z"), 14)).toEqual(new Date("2026-04-03T10:11:12Z"));
  });
});
