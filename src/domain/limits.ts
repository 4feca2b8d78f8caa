// The bounds of the product, each with its reason. A number that limits something is here or it is nowhere.

const MIB = 1024 * 1024;
const TIB = 1024 * 1024 * MIB;

export const LIMITS = {
  /** What Azure makes of a managed disk at most. */
  diskBytes: 32 * TIB,
  /** The table partition of a vault's items is listed whole by clients without filters; at 10,000 that is some seconds. */
  itemsPerVault: 10_000,
  /** Azure's own bound. az refuses policies with 1,000 items or more, so more would be of use to nobody. */
  policiesPerVault: 200,
  /** Transfers under way: enough that a slice's place is always in use, few enough that their grants and pins are no crowd. */
  transfersPerSliceSlot: 12,
  /** What is lost when an instance dies; and far below every host's limit for one invocation. */
  sliceRunMs: 60_000,
  /** What a slice reads at most. At 5 MB/s, slow for a disk behind a SAS, that is still within its time. */
  sliceDirtyBytes: 256 * MIB,
  /** A replay reads the whole history: beyond this, episodes take longer than their work. Then: continue as new. */
  historyEvents: 1_000,
  /** Larger inputs and outputs leave the queue message for a blob, at one more request each way. */
  payloadBytes: 16 * 1024,
  /** How far ahead the dispatcher expands: one tick of its timer, and half of one for a late tick. */
  dispatchAheadMs: 90_000,
  /**
   * How many backups one policy run starts at a time. The next batch queues behind what these have begun: with small ones,
   * the last machines' snapshots would wait for the first ones' transfers.
   */
  startsPerBatch: 500,
  /**
   * A SAS lives this long, and is asked for anew before it ends: long enough for a disk's transfer to ask seldom, since each
   * grant takes Azure a second or more; short enough that what no process ends is soon worth nothing.
   */
  sasMs: 3 * 3_600_000,
} as const;
