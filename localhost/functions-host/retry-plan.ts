// Function-level retry policies: how often the host runs a failed function again, and how long it waits. As in Azure
// they apply to triggers that have nobody to answer to; HTTP callers and orchestrations retry for themselves.

import type { FunctionEntry } from "./function-entry.ts";
import type { RegisteredRetryOptions } from "./rpc.ts";

export interface RetryPlan {
  readonly maxRetryCount: number;
  /** Before the retry of this number (1 is the first), or undefined when there is none. */
  delayMs(retry: number): number | undefined;
}

export function retryPlan({ kind, metadata }: FunctionEntry): RetryPlan | undefined {
  const options = metadata.retryOptions;
  if (options === undefined || (kind !== "timer" && kind !== "unsupported")) return undefined;
  const { maxRetryCount } = options;
  return {
    maxRetryCount,
    delayMs: (retry) => (maxRetryCount >= 0 && retry > maxRetryCount ? undefined : intervalMs(options, retry)),
  };
}

function intervalMs(options: RegisteredRetryOptions, retry: number): number {
  if (options.retryStrategy === "fixedDelay") return (options.delayInterval?.seconds ?? 0) * 1000;
  const leastMs = (options.minimumInterval?.seconds ?? 0) * 1000;
  const mostMs = (options.maximumInterval?.seconds ?? 0) * 1000;
  return Math.min(leastMs * 2 ** (retry - 1), mostMs);
}
