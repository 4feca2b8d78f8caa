// Key sets as issuers publish them: a document behind an address.

import { z } from "zod";
import { HoldfastFailure } from "../base/failure.ts";
import type { KeySets } from "../ports/key-sets.ts";

const TIMEOUT_MS = 10_000;

const keySet = z.object({ keys: z.array(z.record(z.string(), z.unknown())) });

export const webKeySets: KeySets = {
  async read(url) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: "error" });
      if (!response.ok) throw unavailable(url, `it answered ${response.status}`);
      return keySet.parse(await response.json());
    } catch (cause) {
      if (cause instanceof HoldfastFailure) throw cause;
      throw unavailable(url, "it does not answer with a key set", cause);
    }
  },
};

function unavailable(url: string, reason: string, cause?: unknown): HoldfastFailure {
  const message = `The keys of the issuer at ${url} cannot be read: ${reason}`;
  return new HoldfastFailure("unavailable", "HoldfastSigningKeysUnavailable", message, { cause });
}
