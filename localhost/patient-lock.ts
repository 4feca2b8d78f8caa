// The lock of a data folder, for who may have to wait until an earlier owner has ended: it was told to, and is on its way.

import { setTimeout as sleep } from "node:timers/promises";
import { HoldfastFailure } from "../src/base/failure.ts";
import { acquireHubLock, type HubLock } from "./task-hub/journal/hub-lock.ts";

const LOOK_EVERY_MS = 100;

export async function acquireLockWithin(folder: string, patienceMs: number): Promise<HubLock> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await acquireHubLock(folder);
    } catch (cause) {
      const isHeld = cause instanceof HoldfastFailure && cause.code === "HubLocked";
      if (!isHeld || performance.now() > deadline) throw cause;
    }
    await sleep(LOOK_EVERY_MS);
  }
}
