// Names of jobs and recovery points that follow from what they are for: the same run gets the same id however often it
// is started, so starting twice is noticed. A job's id sorts newest first and is found by itself.

import { createHash } from "node:crypto";
import { assert } from "../base/assert.ts";
import { HoldfastFailure } from "../base/failure.ts";

/** A uuid of version 8, lower case: 48 bits of inverted milliseconds, then a digest of what the job is for. */
export type JobId = string & { readonly brand: "JobId" };

export interface JobKey {
  /** What is done, e.g. "Backup". */
  readonly kind: string;
  /** Whom it is done to: an item's or a container's key. */
  readonly subject: string;
  /** The scheduled instant, or when it was asked for. */
  readonly at: Date;
  /** Tells apart what is asked for twice in a millisecond; empty for scheduled runs, which come once. */
  readonly nonce: string;
}

const TIME_BITS = 48;
const MAX_MS = 2 ** TIME_BITS - 1;

export function jobIdOf({ kind, subject, at, nonce }: JobKey): JobId {
  const ms = at.getTime();
  assert(Number.isInteger(ms) && ms >= 0 && ms <= MAX_MS, "a job has a time after 1970");
  const time = (MAX_MS - ms).toString(16).padStart(TIME_BITS / 4, "0");
  const digest = digestOf([kind, subject, String(ms), nonce]);
  // The variant's two bits are 10.
  const variant = ((Number.parseInt(digest.slice(3, 4), 16) & 0x3) | 0x8).toString(16);
  const parts = [time.slice(0, 8), time.slice(8), `8${digest.slice(0, 3)}`, `${variant}${digest.slice(4, 7)}`];
  return [...parts, digest.slice(7, 19)].join("-") as JobId;
}

/** Any case: clients upper-case uuids now and then. */
export function parseJobId(text: string): JobId {
  const id = text.toLowerCase();
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)) return id as JobId;
  throw new HoldfastFailure("not-found", "BMSUserErrorDataSourceObjectNotFound", `There is no job "${text}"`);
}

/** The instant in a job's id. */
export function timeOfJobId(id: JobId): Date {
  return new Date(MAX_MS - Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
}

/** As on the wire: 15 decimal digits that grow with time, so that rows under their complement come newest first. */
export type PointWireId = string & { readonly brand: "PointWireId" };

/** Of the job that took the point: its milliseconds, and two digits of digest. An item has one snapshot at a time. */
export function pointWireIdOf(job: JobId): PointWireId {
  const digits = BigInt(`0x${digestOf(["recovery-point", job]).slice(0, 16)}`) % 100n;
  return `${timeOfJobId(job).getTime()}${String(digits).padStart(2, "0")}` as PointWireId;
}

function digestOf(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
