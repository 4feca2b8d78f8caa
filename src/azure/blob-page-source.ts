// A page blob as a disk to back up: a snapshot of a page blob, or a managed disk's snapshot behind a SAS. Both speak the
// same protocol; only how an earlier snapshot is named differs (a time, or a URL of its own).
//
// Azure shows a disk as a VHD: its bytes, and a footer that is none of them. Access may end while it is read; it is then
// asked for once more, and reading goes on where it was.
//
// Not every store can tell what changed: Azurite answers a request for the difference with all pages and no cleared ranges,
// which would be taken for the truth. So the store is asked who it is, and such a one is compared by content.

import type { PageBlobClient } from "@azure/storage-blob";
import { HoldfastFailure } from "../base/failure.ts";
import { FOOTER_BYTES } from "../base/vhd-footer.ts";
import type { DiskSource, SnapshotIdentity } from "../ports/disk-source.ts";
import type { ByteRange } from "../ports/object-store.ts";
import type { FailureWords } from "./azure-failures.ts";
import { RenewedBlob } from "./renewed-blob.ts";

/** Servers known to answer a difference wrongly. */
const CANNOT_DIFF = /azurite/i;
/** One answer lists at most so much of a managed disk, so that none grows without bound. */
const DIFF_WINDOW_BYTES = 64 * 2 ** 30;
/** A list of ranges may end after so many, wherever it is, and the client does not say so: then less is asked for at once. */
const LIST_LIMIT = 10_000;
/** Holds fewer pages than that. */
const SMALLEST_WINDOW_BYTES = 4 * 2 ** 20;
const WHAT = "The snapshot";
const WORDS: FailureWords = {
  "not-found": { code: "HoldfastSourceGone", message: "The snapshot is gone" },
  denied: { code: "HoldfastSourceDenied", message: "The snapshot may not be read" },
};

export interface PageBlobSourceOptions {
  readonly identity: SnapshotIdentity;
  /** The blob ends in a VHD footer, which is not part of the disk. */
  readonly hasFooter?: boolean;
  /** How the service names the earlier snapshot; undefined when it is gone, and all must be compared. */
  readonly base?: (since: SnapshotIdentity) => Promise<EarlierSnapshot | undefined>;
  /** Told which URL was refused; `client` and `base` are asked again afterwards. Absent: they have no other. */
  readonly refused?: (url: string) => void;
}

export type EarlierSnapshot = { readonly snapshot: string } | { readonly url: string };

export async function openPageBlobSource(
  client: () => Promise<PageBlobClient>,
  options: PageBlobSourceOptions,
): Promise<DiskSource> {
  const blob = new RenewedBlob({ client, refused: options.refused });
  const properties = await blob.ask(WHAT, (one) => one.getProperties(), WORDS);
  const server = properties._response.headers.get("server") ?? "";
  const sizeBytes = (properties.contentLength ?? 0) - (options.hasFooter ? FOOTER_BYTES : 0);
  if (sizeBytes <= 0) throw new HoldfastFailure("invalid", "HoldfastSourceEmpty", "The snapshot holds no disk");
  return new PageBlobSource(blob, sizeBytes, !CANNOT_DIFF.test(server), options);
}

class PageBlobSource implements DiskSource {
  readonly sizeBytes: number;
  readonly identity: SnapshotIdentity;
  private readonly canDiff: boolean;
  private readonly blob: RenewedBlob;
  private readonly options: PageBlobSourceOptions;

  constructor(blob: RenewedBlob, sizeBytes: number, canDiff: boolean, options: PageBlobSourceOptions) {
    this.blob = blob;
    this.sizeBytes = sizeBytes;
    this.canDiff = canDiff;
    this.identity = options.identity;
    this.options = options;
  }

  allocatedRanges(): AsyncIterable<ByteRange> {
    return this.paged((blob, offset, length, marker) =>
      blob.listPageRanges(offset, length).byPage(marker === undefined ? {} : { continuationToken: marker }),
    );
  }

  async changedRanges(since: SnapshotIdentity): Promise<AsyncIterable<ByteRange> | undefined> {
    if (!this.canDiff || since.diskUniqueId !== this.identity.diskUniqueId) return undefined;
    const { base } = this.options;
    const earlier = await base?.(since);
    if (base === undefined || earlier === undefined) return undefined;
    const ranges =
      "url" in earlier
        ? this.changedSinceUrl(() => base(since))
        : this.paged((blob, offset, length, marker) =>
            blob
              .listPageRangesDiff(offset, length, earlier.snapshot)
              .byPage(marker === undefined ? {} : { continuationToken: marker }),
          );
    return begun(ranges);
  }

  read({ offset, length }: ByteRange): Promise<Uint8Array> {
    return this.blob.ask(
      WHAT,
      (blob) => blob.downloadToBuffer(offset, length, { blockSize: length, maxRetryRequestsPerBlock: 5 }),
      WORDS,
    );
  }

  /** Changed ranges and cleared ones alike: those read as zeros now. */
  private async *paged(list: PageLister): AsyncGenerator<ByteRange> {
    let marker: string | undefined;
    do {
      const ask = async (blob: PageBlobClient) => {
        const { value } = await list(blob, 0, this.sizeBytes, marker)[Symbol.asyncIterator]().next();
        return value as PageOfRanges | undefined;
      };
      const page = await this.blob.ask(WHAT, ask, WORDS);
      for (const { start, end } of [...(page?.pageRange ?? []), ...(page?.clearRange ?? [])])
        yield* this.within({ offset: start, length: end - start + 1 });
      marker = page?.continuationToken;
    } while (marker !== undefined && marker !== "");
  }

  private async *changedSinceUrl(base: () => Promise<EarlierSnapshot | undefined>): AsyncGenerator<ByteRange> {
    let window = DIFF_WINDOW_BYTES;
    for (let offset = 0; offset < this.sizeBytes; ) {
      const length = Math.min(window, this.sizeBytes - offset);
      const ranges = await this.differenceWithin(offset, length, base);
      if (ranges === undefined) {
        window = Math.max(SMALLEST_WINDOW_BYTES, alignUp(length / 2));
        continue;
      }
      for (const range of ranges) yield* this.within(range);
      offset += length;
      window = Math.min(DIFF_WINDOW_BYTES, window * 2);
    }
  }

  /** Undefined when the answer may not be all of it. */
  private async differenceWithin(
    offset: number,
    length: number,
    base: () => Promise<EarlierSnapshot | undefined>,
  ): Promise<readonly ByteRange[] | undefined> {
    let used: string | undefined;
    const answer = await this.blob.ask(
      WHAT,
      async (blob) => {
        const earlier = await base();
        if (earlier === undefined || !("url" in earlier)) throw baseGone();
        used = earlier.url;
        return blob.getPageRangesDiffForManagedDisks(offset, length, earlier.url);
      },
      WORDS,
      () => used,
    );
    const ranges = [...(answer.pageRange ?? []), ...(answer.clearRange ?? [])];
    if (ranges.length >= LIST_LIMIT && length > SMALLEST_WINDOW_BYTES) return undefined;
    // The client takes the place of the last byte for the end: its count is one short.
    return ranges.map((range) => ({ offset: range.offset, length: (range.count ?? 0) + 1 }));
  }

  private *within({ offset, length }: ByteRange): Generator<ByteRange> {
    const end = Math.min(offset + length, this.sizeBytes);
    if (end > offset) yield { offset, length: end - offset };
  }
}

interface PageOfRanges {
  readonly pageRange?: readonly { readonly start: number; readonly end: number }[];
  readonly clearRange?: readonly { readonly start: number; readonly end: number }[];
  readonly continuationToken?: string;
}

type PageLister = (
  blob: PageBlobClient,
  offset: number,
  length: number,
  marker: string | undefined,
) => AsyncIterable<PageOfRanges>;

/** The earlier snapshot went while it was compared with: planning anew will find it gone, and compare everything. */
function baseGone(): HoldfastFailure {
  return new HoldfastFailure("unavailable", BASE_GONE, "The earlier snapshot is gone");
}

/**
 * The ranges, once the first answer is there; undefined when the service will not compare these two. A later refusal is
 * a failure: what was told so far must not be taken for all.
 */
async function begun(ranges: AsyncGenerator<ByteRange>): Promise<AsyncIterable<ByteRange> | undefined> {
  let first: IteratorResult<ByteRange>;
  try {
    first = await ranges.next();
  } catch (cause) {
    if (cause instanceof HoldfastFailure && (INCOMPARABLE.has(cause.kind) || cause.code === BASE_GONE))
      return undefined;
    throw cause;
  }
  return (async function* () {
    if (first.done) return;
    yield first.value;
    yield* ranges;
  })();
}

const BASE_GONE = "HoldfastBaseGone";
const INCOMPARABLE = new Set(["invalid", "conflict", "not-found"]);

const alignUp = (bytes: number): number => Math.ceil(bytes / SMALLEST_WINDOW_BYTES) * SMALLEST_WINDOW_BYTES;
