import { expect, it } from "vitest";
import { INITIAL_BACKUP_PENDING, ITEM_STATE_TEXTS, JOB_STATUS_TEXTS } from "../../../src/domain/display-strings.ts";

it("What people read for states is spelled as they know it", () => {
  expect([INITIAL_BACKUP_PENDING, ITEM_STATE_TEXTS.IRPending, ITEM_STATE_TEXTS.Protected]).toEqual([
    "Warning (Initial backup pending)",
    "Protected - (pending initial backup)",
    "Protected",
  ]);
  expect(JOB_STATUS_TEXTS.CompletedWithWarnings).toBe("Completed with warning");
});
