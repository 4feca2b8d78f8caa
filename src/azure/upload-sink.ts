// A disk that waits for its bytes, as something to restore to. Whole pages of 512 bytes are written, at most 4 MiB in one
// request, each with its checksum; the service has them once it answers.

import { createHash } from "node:crypto";
import type { PageBlobClient } from "@azure/storage-blob";
import pMap from "p-map";
import { assert } from "../base/assert.ts";
import type { DiskSink } from "../ports/disk-sink.ts";
import { azureErrorOf, failureOf } from "./azure-failures.ts";

const PAGE_BYTES = 512;
const LARGEST_WRITE_BYTES = 4 * 2 ** 20;
const AT_ONCE = 4;
const ATTEMPTS = 3;

export interface UploadBlob {
  client(): Promise<PageBlobClient>;
  refused(url: string): void;
}

export function uploadSink(blob: UploadBlob): DiskSink {
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

export async function writePages(blob: UploadBlob, offset: number, pages: Uint8Array): Promise<void> {
  const md5 = createHash("md5").update(pages).digest();
  for (let attempt = 1; ; attempt += 1) {
    const client = await blob.client();
    try {
      await client.uploadPages(pages, offset, pages.length, { transactionalContentMD5: md5 });
      return;
    } catch (thrown) {
      const wasRefused = azureErrorOf(thrown)?.status === 403;
      if (!wasRefused || attempt === ATTEMPTS) throw failureOf(thrown, `Writing the disk at ${offset}`);
      blob.refused(client.url);
    }
  }
}

/** The last page of a disk of odd length ends in zeros. */
function wholePages(bytes: Uint8Array): Uint8Array {
  const length = Math.ceil(bytes.length / PAGE_BYTES) * PAGE_BYTES;
  if (length === bytes.length) return bytes;
  const padded = new Uint8Array(length);
  padded.set(bytes);
  return padded;
}
