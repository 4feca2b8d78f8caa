// How often a request to Azure is repeated here, and how long one waits in between: little, so that whoever asked is told
// soon, and waits where waiting costs nothing (a durable timer). When Azure asks for a longer wait, it is passed on.

import { type PipelinePolicy, type RetryStrategy, retryPolicy } from "@azure/core-rest-pipeline";
import { retryAfterMsOf } from "./azure-failures.ts";

export interface RetryLimits {
  readonly maxRetries: number;
  readonly firstDelayMs: number;
  /** A wait that Azure asks for, up to this, is worth sitting out here. */
  readonly longestWaitMs: number;
}

export const RETRY_LIMITS: RetryLimits = { maxRetries: 3, firstDelayMs: 300, longestWaitMs: 5_000 };

const WORTH_A_RETRY = new Set([408, 429, 500, 502, 503, 504]);

export function boundedRetries({ maxRetries, firstDelayMs, longestWaitMs }: RetryLimits): PipelinePolicy {
  const strategy: RetryStrategy = {
    name: "bounded",
    retry({ retryCount, response }) {
      if (response !== undefined && !WORTH_A_RETRY.has(response.status)) return { skipStrategy: true };
      const asked = retryAfterMsOf(response?.headers.get("retry-after"));
      if (asked !== undefined && asked > longestWaitMs) return { skipStrategy: true };
      return { retryAfterInMs: asked ?? firstDelayMs * 2 ** retryCount * (1 + Math.random()) };
    },
  };
  return retryPolicy([strategy], { maxRetries });
}
