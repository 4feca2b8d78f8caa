// A page blob behind a SAS as a disk to back up: a snapshot of a page blob, or a managed disk's snapshot with access granted.
// Both speak the same protocol; only how an earlier snapshot is named differs (a time, or a URL of its own).
//
// Not every store can tell what changed: Azurite answers a request for the difference with all pages and no cleared ranges,
// which would be taken for the truth. So the store is asked who it is, and such a one is compared by content.

import { type PageBlobClient, RestError } from "@azure/storage-blob";
import { HoldfastFailure, messageOf } from "../base/failure.ts";
import type { DiskSource, SnapshotIdentity } from "../ports/disk-source.ts";
import type { ByteRange } from "../ports/object-store.ts";

/** Servers known to answer a difference wrongly. */
const CANNOT_DIFF = /azurite/i;
/** One answer lists at most so much of a managed disk, so that none grows without bound. */
const DIFF_WINDOW_BYTES = 64 * 2 ** 30;

export interface PageBlobSourceOptions {
  readonly identity: SnapshotIdentity;
  /** How the service names the earlier snapshot; undefined when it is gone, and all must be compared. */
  readonly base?: (
    since: SnapshotIdentity,
  ) => Promise<{ readonly snapshot: string } | { readonly url: string } | undefined>;
}

export async function openPageBlobSource(client: PageBlobClient, options: PageBlobSourceOptions): Promise<DiskSource> {
  try {
    const properties = await client.getProperties();
    const server = properties._response.headers.get("server") ?? "";
    return new PageBlobSource(client, properties.contentLength ?? 0, !CANNOT_DIFF.test(server), options);
  } catch (cause) {
    throw translate(cause);
  }
}

class PageBlobSource implements DiskSource {
  readonly sizeBytes: number;
  readonly identity: SnapshotIdentity;
  readonly canDiff: boolean;
  private readonly client: PageBlobClient;
  private readonly options: PageBlobSourceOptions;

  constructor(client: PageBlobClient, sizeBytes: number, canDiff: boolean, options: PageBlobSourceOptions) {
    this.client = client;
    this.sizeBytes = sizeBytes;
    this.canDiff = canDiff;
    this.identity = options.identity;
    this.options = options;
  }

  async *allocatedRanges(): AsyncGenerator<ByteRange> {
    try {
      for await (const { start, end } of this.client.listPageRanges(0, this.sizeBytes)) {
        yield { offset: start, length: end - start + 1 };
      }
    } catch (cause) {
      throw translate(cause);
    }
  }

  async changedRanges(since: SnapshotIdentity): Promise<AsyncIterable<ByteRange> | undefined> {
    if (!this.canDiff || since.diskUniqueId !== this.identity.diskUniqueId) return undefined;
    const base = await this.options.base?.(since);
    if (base === undefined) return undefined;
    return "url" in base ? this.changedSinceUrl(base.url) : this.changedSinceSnapshot(base.snapshot);
  }

  async read({ offset, length }: ByteRange): Promise<Uint8Array> {
    try {
      return await this.client.downloadToBuffer(offset, length, { blockSize: length, maxRetryRequestsPerBlock: 5 });
    } catch (cause) {
      throw translate(cause);
    }
  }

  private async *changedSinceSnapshot(snapshot: string): AsyncGenerator<ByteRange> {
    try {
      // Cleared ranges count as changed: they read as zeros now.
      for await (const { start, end } of this.client.listPageRangesDiff(0, this.sizeBytes, snapshot)) {
        yield { offset: start, length: end - start + 1 };
      }
    } catch (cause) {
      throw translate(cause);
    }
  }

  private async *changedSinceUrl(url: string): AsyncGenerator<ByteRange> {
    try {
      for (let offset = 0; offset < this.sizeBytes; offset += DIFF_WINDOW_BYTES) {
        const length = Math.min(DIFF_WINDOW_BYTES, this.sizeBytes - offset);
        const { pageRange = [], clearRange = [] } = await this.client.getPageRangesDiffForManagedDisks(
          offset,
          length,
          url,
        );
        for (const range of [...pageRange, ...clearRange]) yield { offset: range.offset, length: range.count ?? 0 };
      }
    } catch (cause) {
      throw translate(cause);
    }
  }
}

function translate(cause: unknown): unknown {
  if (!(cause instanceof RestError)) return cause;
  const said = { cause };
  if (cause.statusCode === 404)
    return new HoldfastFailure("not-found", "HoldfastSourceGone", "The snapshot is gone", said);
  if (cause.statusCode === 401 || cause.statusCode === 403) {
    const hint = "Access to the snapshot may have expired; grant it again and go on.";
    return new HoldfastFailure("denied", "HoldfastSourceDenied", "The snapshot may not be read", { ...said, hint });
  }
  // The message of the library may hold the URL, and with it the SAS.
  const text = messageOf(cause).replace(/\?\S*/g, "?…").split("\n")[0];
  return new HoldfastFailure(
    "unavailable",
    "HoldfastSourceUnavailable",
    `The snapshot cannot be read now: ${text}`,
    said,
  );
}
