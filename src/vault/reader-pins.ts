// The pins of what reads: a mount, a restore, a copy. A pin keeps the points it names from going. One that nobody has renewed
// for a week counts as left over from a process that died (leftovers.ts), so it is written anew while its reader lives.
//
// Renewing and removing never cross: the timer is stopped and the renewal under way awaited before the pin goes. Against a
// collector there is no race to win. It takes a pin only after a week without renewal, so only from a reader that slept,
// and then nothing is lost yet: the reader pins again and looks whether its points still stand.

import { HoldfastFailure, messageOf } from "../base/failure.ts";
import { type ItemId, type PointId, pinName, type TransferId } from "./format/names.ts";
import type { PinRecord } from "./format/records.ts";
import { isKind, readIfPresent } from "./objects.ts";
import type { Vault } from "./open-vault.ts";
import { pinPoints } from "./points.ts";

/** Often enough that a week holds many tries, seldom enough that it costs nothing. */
const RENEW_EVERY_MS = 6 * 3600 * 1000;

export function pinFor(
  vault: Vault,
  kind: "read" | "copy",
  transfer: TransferId,
  item: ItemId | null,
  points: readonly PointId[],
  note: string,
): PinRecord {
  return { kind, transfer, item, points: [...points], createdAt: vault.clock.now().toISOString(), note };
}

/**
 * Keeps points from going while something reads them. The pin goes when `work` ends, however it ends. If it cannot be
 * kept alive, `onTrouble` is told, and `work` goes on: whatever it reads is verified, so it notices what is missing.
 */
export async function whilePinned<T>(
  vault: Vault,
  pin: PinRecord,
  work: () => Promise<T>,
  onTrouble: (failure: HoldfastFailure) => void = () => undefined,
): Promise<T> {
  await pinPoints(vault, pin);
  let renewal: Promise<void> = Promise.resolve();
  const stop = vault.timer?.every(RENEW_EVERY_MS, () => {
    renewal = renewal.then(() => renewPin(vault, pin)).catch((cause) => onTrouble(cannotRenew(pin, cause)));
  });
  try {
    return await work();
  } finally {
    stop?.();
    await renewal;
    await vault.state.delete(pinName(pin.transfer));
  }
}

/** The same bytes once more: what counts is the store's date on them. */
async function renewPin(vault: Vault, pin: PinRecord): Promise<void> {
  const name = pinName(pin.transfer);
  const found = await readIfPresent(vault.state, name);
  try {
    if (found) await vault.state.replace(name, found.body, found.object.etag);
  } catch (cause) {
    if (!isKind(cause, "conflict")) throw cause;
  }
  if (await readIfPresent(vault.state, name)) return;
  await pinPoints(vault, pin);
}

function cannotRenew({ note }: PinRecord, cause: unknown): HoldfastFailure {
  const kind = cause instanceof HoldfastFailure ? cause.kind : "unavailable";
  return new HoldfastFailure(
    kind,
    "HoldfastPinNotRenewed",
    `The pin (${note}) cannot be renewed: ${messageOf(cause)}`,
    {
      hint: "If it stays so for a week, the point may be collected once it is deleted.",
      cause,
    },
  );
}
