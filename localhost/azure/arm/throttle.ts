// A token bucket for each caller and subscription: Azure's 429 with Retry-After, when it is configured.
import { AzureError } from "../http/azure-error.ts";

export interface ThrottleSettings {
  readonly requestsPerSecond: number;
  readonly burst: number;
}

const UNTHROTTLED_REMAINING = 11_999;

export class Throttle {
  readonly #settings: ThrottleSettings | undefined;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(settings: ThrottleSettings | undefined) {
    this.#settings = settings;
  }

  /** Takes one request from the caller's bucket and says how many are left, or refuses. */
  take(caller: string, now: number): number {
    if (this.#settings === undefined) return UNTHROTTLED_REMAINING;
    const { requestsPerSecond, burst } = this.#settings;
    const bucket = this.#buckets.get(caller) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, bucket.tokens + (Math.max(0, now - bucket.at) / 1000) * requestsPerSecond);
    this.#buckets.set(caller, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    if (tokens >= 1) return Math.floor(tokens - 1);
    const seconds = Math.max(1, Math.ceil((1 - tokens) / requestsPerSecond));
    throw new AzureError(
      429,
      "SubscriptionRequestsThrottled",
      `Number of requests for this subscription exceeded the throttling limit. Please try again after '${seconds}' seconds.`,
      {
        headers: { "Retry-After": String(seconds) },
      },
    );
  }
}
