// A page blob whose access may end at any time: it is asked again with another grant when it refuses one, and once more
// when an answer broke off, which the client does not do by itself.

import { setTimeout as wait } from "node:timers/promises";
import type { PageBlobClient } from "@azure/storage-blob";
import { type AzureError, azureErrorOf, type FailureWords, failureOf } from "./azure-failures.ts";

export interface BlobAccess {
  readonly client: () => Promise<PageBlobClient>;
  /** Told which URL was refused; `client` is asked again afterwards. Absent: it has no other. */
  readonly refused?: ((url: string) => void) | undefined;
}

const ATTEMPTS = 3;
const LONGEST_WAIT_MS = 2_000;

export class RenewedBlob {
  private readonly access: BlobAccess;

  constructor(access: BlobAccess) {
    this.access = access;
  }

  /** `alsoUsed` tells which other URL the work sent along. */
  async ask<Answer>(
    what: string,
    work: (blob: PageBlobClient) => Promise<Answer>,
    words: FailureWords = {},
    alsoUsed: () => string | undefined = () => undefined,
  ): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      const blob = await this.access.client();
      try {
        return await work(blob);
      } catch (thrown) {
        const error = azureErrorOf(thrown);
        const waitMs = error === undefined ? undefined : this.waitMs(error);
        if (attempt === ATTEMPTS || waitMs === undefined) throw failureOf(thrown, what, words);
        if (error?.status === 403)
          for (const url of [blob.url, alsoUsed()]) if (url !== undefined) this.access.refused?.(url);
        await wait(waitMs);
      }
    }
  }

  /** How long to wait before another attempt; undefined when none is worth it, or the client has made them already. */
  private waitMs({ status, code, retryAfterMs = 0 }: AzureError): number | undefined {
    if (status === 403) return this.access.refused === undefined ? undefined : 0;
    if (status === 429) return retryAfterMs > LONGEST_WAIT_MS ? undefined : retryAfterMs;
    return status === undefined && code !== "REQUEST_SEND_ERROR" ? 0 : undefined;
  }
}
