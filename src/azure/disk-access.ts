// Access to the bytes of disks and restore points: granted once in this process, used by all who read or write the disk,
// renewed before it ends, and again when it was refused all the same. It lives in memory only: nothing here is ever written
// down, and another process asks for its own. What no process ends ends by itself.
//
// Ending access to what somebody still uses does no harm: their next request is refused, and they ask again.

import { AnonymousCredential, PageBlobClient } from "@azure/storage-blob";
import { LIMITS } from "../domain/limits.ts";
import type { Arm } from "./arm.ts";
import { asked, azureErrorOf, failureOf, found } from "./azure-failures.ts";
import { parseResourceId } from "./resource-path.ts";
import { STORAGE_RETRIES } from "./storage-retries.ts";

export type AccessLevel = "Read" | "Write";

export interface AccessTimes {
  readonly grantedSeconds: number;
  /** A grant with less time left is renewed before it is used again. */
  readonly renewBeforeMs: number;
  /** So long one waits for Azure to grant or to end access. */
  readonly operationMs: number;
}

const TIMES: AccessTimes = { grantedSeconds: LIMITS.sasMs / 1000, renewBeforeMs: 30 * 60_000, operationMs: 30_000 };
const POLL_MS = 500;

interface Grant {
  readonly url: Promise<string>;
  /** Once it is known. */
  value?: string;
  readonly renewAtMs: number;
}

export class DiskAccess {
  private readonly arm: Arm;
  private readonly times: AccessTimes;
  private readonly grants = new Map<string, Grant>();
  private readonly clients = new Map<string, PageBlobClient>();

  constructor(arm: Arm, times: AccessTimes = TIMES) {
    this.arm = arm;
    this.times = times;
  }

  /** A client that reads or writes the bytes of a disk or a disk restore point, for the next requests. */
  async blob(resourceId: string, level: AccessLevel): Promise<PageBlobClient> {
    const key = resourceId.toLowerCase();
    const url = await this.url(resourceId, level);
    const known = this.clients.get(key);
    if (known?.url === url) return known;
    const client = new PageBlobClient(url, new AnonymousCredential(), { retryOptions: STORAGE_RETRIES });
    this.clients.set(key, client);
    return client;
  }

  /** The address alone. */
  url(resourceId: string, level: AccessLevel): Promise<string> {
    const key = resourceId.toLowerCase();
    const known = this.grants.get(key);
    if (known !== undefined && Date.now() < known.renewAtMs) return known.url;
    const lastsMs = this.times.grantedSeconds * 1000 - this.times.renewBeforeMs;
    const grant: Grant = { url: this.grant(resourceId, level), renewAtMs: Date.now() + lastsMs };
    this.grants.set(key, grant);
    grant.url.then(
      (value) => {
        grant.value = value;
      },
      () => this.drop(key, grant),
    );
    return grant.url;
  }

  /** This URL was refused: whoever asks next gets another. */
  refused(url: string): void {
    for (const [key, grant] of this.grants) if (grant.value === url) this.drop(key, grant);
  }

  has(resourceId: string): boolean {
    return this.grants.has(resourceId.toLowerCase());
  }

  /** Ends all access to a resource, whoever asked for it. One that is not there, or that nobody accesses, is no failure. */
  async end(resourceId: string): Promise<void> {
    this.grants.delete(resourceId.toLowerCase());
    this.clients.delete(resourceId.toLowerCase());
    const signal = AbortSignal.timeout(this.times.operationMs);
    const options = { updateIntervalInMs: POLL_MS, abortSignal: signal };
    await found(`Ending access to ${resourceId}`, () => this.revoking(resourceId, options));
  }

  private drop(key: string, grant: Grant): void {
    if (this.grants.get(key) === grant) this.grants.delete(key);
  }

  private async grant(resourceId: string, access: AccessLevel): Promise<string> {
    const signal = AbortSignal.timeout(this.times.operationMs);
    const options = { updateIntervalInMs: POLL_MS, abortSignal: signal };
    const body = { access, durationInSeconds: this.times.grantedSeconds };
    const { subscriptionId, resourceGroup, names } = parseResourceId(resourceId);
    const compute = this.arm.compute(subscriptionId);
    const [first = "", point, disk] = names;
    const answer = await asked(`Access to ${resourceId}`, () =>
      point === undefined || disk === undefined
        ? compute.disks.grantAccess(resourceGroup, first, body, options)
        : compute.diskRestorePoint.grantAccess(resourceGroup, first, point, disk, body, options),
    );
    if (answer.accessSAS) return answer.accessSAS;
    throw failureOf(new DOMException("no address came with it", "TimeoutError"), `Access to ${resourceId}`);
  }

  private revoking(resourceId: string, options: { updateIntervalInMs: number; abortSignal: AbortSignal }) {
    const { subscriptionId, resourceGroup, names } = parseResourceId(resourceId);
    const compute = this.arm.compute(subscriptionId);
    const [first = "", point, disk] = names;
    return point === undefined || disk === undefined
      ? compute.disks.revokeAccess(resourceGroup, first, options)
      : compute.diskRestorePoint.revokeAccess(resourceGroup, first, point, disk, options);
  }
}

/** Azure lets so many snapshots of one disk be read at the same time, and no more. */
export function isFamilyLimit(thrown: unknown): boolean {
  return thrown instanceof Error && /family|shared access signatures? of \d+ snapshots/i.test(azureText(thrown));
}

function azureText(thrown: Error): string {
  return azureErrorOf(thrown)?.message ?? thrown.message;
}
