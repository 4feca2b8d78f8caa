// The life of a protected item: its states, what may happen in each, and when a soft-deleted one is gone for good.

import { HoldfastFailure } from "../base/failure.ts";

export const ITEM_STATES = [
  /** There is no item; a machine that was never protected, or whose data is gone. */
  "NotProtected",
  /** Enabled; the initial backup is still to come. */
  "IRPending",
  "Protected",
  /** Its machine is gone. Runs fail until it is back, or protection is stopped. */
  "ProtectionError",
  /** Stopped; every recovery point is kept for good. */
  "ProtectionStopped",
  /** Stopped; recovery points go as the policy says, but for the last. */
  "BackupsSuspended",
  /** Stopped with deletion of its data, which can be undone for a while. On the wire: ProtectionStopped, with the date. */
  "SoftDeleted",
] as const;
export type ItemState = (typeof ITEM_STATES)[number];

export const ITEM_EVENTS = [
  "enable",
  /** A backup starts, on schedule or on demand. */
  "back-up",
  "backup-succeeded",
  "backup-failed",
  "machine-lost",
  "machine-found",
  /** Another policy, or other disks. */
  "reconfigure",
  "restore",
  "stop-and-retain",
  "suspend",
  "resume",
  "delete",
  "undelete",
  /** The time of soft deletion is over, or soft deletion is off: nothing is left. */
  "purge",
] as const;
export type ItemEvent = (typeof ITEM_EVENTS)[number];

/** "InForce": Protected, or IRPending as long as there is no recovery point. */
type Transition = ItemState | "InForce" | { readonly refused: string };

const NOT_PROTECTED = { refused: "the machine is not protected" };
const IN_FORCE = { refused: "the machine is protected already" };
const STOPPED = { refused: "its protection is stopped; resume it first" };
const NOT_DELETED = { refused: "its data is not deleted" };
const DELETED = { refused: "its data is deleted; undelete it first" };

const WHILE_IN_FORCE = {
  enable: IN_FORCE,
  "backup-succeeded": "Protected",
  "machine-lost": "ProtectionError",
  "machine-found": "InForce",
  "stop-and-retain": "ProtectionStopped",
  suspend: "BackupsSuspended",
  resume: IN_FORCE,
  delete: "SoftDeleted",
  undelete: NOT_DELETED,
  purge: "NotProtected",
} as const;

const WHILE_STOPPED = {
  enable: { refused: "its protection is stopped; resume it" },
  "back-up": STOPPED,
  reconfigure: STOPPED,
  "stop-and-retain": "ProtectionStopped",
  suspend: "BackupsSuspended",
  resume: "InForce",
  delete: "SoftDeleted",
  undelete: NOT_DELETED,
  purge: "NotProtected",
} as const;

/** What a job that was live when its item left the state reports, and what is seen of the machine, moves nothing. */
const unmoved = <State extends ItemState>(state: State) =>
  ({ "backup-succeeded": state, "backup-failed": state, "machine-lost": state, "machine-found": state }) as const;

const TRANSITIONS: Readonly<Record<ItemState, Readonly<Record<ItemEvent, Transition>>>> = {
  NotProtected: {
    ...unmoved("NotProtected"),
    enable: "IRPending",
    "back-up": NOT_PROTECTED,
    reconfigure: NOT_PROTECTED,
    restore: NOT_PROTECTED,
    "stop-and-retain": NOT_PROTECTED,
    suspend: NOT_PROTECTED,
    resume: NOT_PROTECTED,
    delete: NOT_PROTECTED,
    undelete: NOT_PROTECTED,
    purge: "NotProtected",
  },
  IRPending: {
    ...WHILE_IN_FORCE,
    "back-up": "IRPending",
    "backup-failed": "IRPending",
    reconfigure: "IRPending",
    restore: "IRPending",
  },
  Protected: {
    ...WHILE_IN_FORCE,
    "back-up": "Protected",
    "backup-failed": "Protected",
    reconfigure: "Protected",
    restore: "Protected",
  },
  ProtectionError: {
    ...WHILE_IN_FORCE,
    // It may be back and not seen yet: only trying tells.
    "back-up": "ProtectionError",
    "backup-failed": "ProtectionError",
    reconfigure: "ProtectionError",
    restore: "ProtectionError",
  },
  ProtectionStopped: { ...unmoved("ProtectionStopped"), ...WHILE_STOPPED, restore: "ProtectionStopped" },
  BackupsSuspended: { ...unmoved("BackupsSuspended"), ...WHILE_STOPPED, restore: "BackupsSuspended" },
  SoftDeleted: {
    ...unmoved("SoftDeleted"),
    enable: DELETED,
    "back-up": DELETED,
    reconfigure: DELETED,
    restore: DELETED,
    "stop-and-retain": DELETED,
    suspend: DELETED,
    resume: DELETED,
    // Asking again does not begin the time anew.
    delete: "SoftDeleted",
    undelete: "ProtectionStopped",
    purge: "NotProtected",
  },
};

export interface ItemFacts {
  readonly state: ItemState;
  readonly hasPoints: boolean;
  /** For the message. */
  readonly name: string;
}

/** The state after an event; a failure when the event is not allowed in the item's state. */
export function nextItemState({ state, hasPoints, name }: ItemFacts, event: ItemEvent): ItemState {
  const next = TRANSITIONS[state][event];
  if (next === "InForce") return hasPoints ? "Protected" : "IRPending";
  if (typeof next === "string") return next;
  if (state === "NotProtected") {
    throw new HoldfastFailure("not-found", "BMSUserErrorDataSourceObjectNotFound", `${name}: ${next.refused}`);
  }
  throw new HoldfastFailure("conflict", "HoldfastItemStateForbids", `${name} cannot ${event}: ${next.refused}`);
}

const DAY_MS = 24 * 60 * 60_000;

/** The period in force when the item was deleted counts; a later change of the vault's setting does not. */
export function purgeTimeOf(deletedAt: Date, retentionDays: number): Date {
  return new Date(deletedAt.getTime() + retentionDays * DAY_MS);
}
