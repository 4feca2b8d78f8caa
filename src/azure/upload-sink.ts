// A disk that waits for its bytes, as something to restore to. Whole pages of 512 bytes are written, at most 4 MiB in one
// request, each with its checksum; the service has them once it answers.

import { createHash } from "node:crypto";
import pMap from "p-map";
import { assert } from "../base/assert.ts";
import type { DiskSink } from "../ports/disk-sink.ts";
import type { RenewedBlob } from "./renewed-blob.ts";

const PAGE_BYTES = 512;
const LARGEST_WRITE_BYTES = 4 * 2 ** 20;
const AT_ONCE = 4;

export function uploadSink(blob: RenewedBlob): DiskSink {
  return {
    async write(offset, bytes) {
      assert(offset % PAGE_BYTES === 0, `A disk is written in pages of 512 bytes, not at ${offset}`);
      const pages = wholePages(bytes);
      const starts = Array.from({ length: Math.ceil(pages.length / LARGEST_WRITE_BYTES) }, (_, index) => index);
      await pMap(
        starts,
        (index) => {
          const start = index * LARGEST_WRITE_BYTES;
          return writePages(blob, offset + start, pages.subarray(start, start + LARGEST_WRITE_BYTES));
        },
        { concurrency: AT_ONCE },
      );
    },
    // What is written is durable; the upload ends for the disk as a whole, when all of its writers are done.
    finish: async () => {},
    // A disk whose upload has not ended cannot be used; who made it removes it.
    discard: async () => {},
  };
}

export function writePages(blob: RenewedBlob, offset: number, pages: Uint8Array): Promise<unknown> {
  const transactionalContentMD5 = createHash("md5").update(pages).digest();
  return blob.ask(`Writing the disk at ${offset}`, (client) =>
    client.uploadPages(pages, offset, pages.length, { transactionalContentMD5 }),
  );
}

/** The last page of a disk of odd length ends in zeros. */
function wholePages(bytes: Uint8Array): Uint8Array {
  const length = Math.ceil(bytes.length / PAGE_BYTES) * PAGE_BYTES;
  if (length === bytes.length) return bytes;
  const padded = new Uint8Array(length);
  padded.set(bytes);
  return padded;
}
