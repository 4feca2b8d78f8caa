// The keys of one issuer, held for a while. Keys rotate: a token may name one that was published a moment ago, so an unknown
// id asks again; but not more often than the cooldown allows, or made-up ids would make us hammer the issuer.

import { type CryptoKey, importJWK, type JWK } from "jose";
import { HoldfastFailure } from "../base/failure.ts";
import type { Clock } from "../ports/clock.ts";
import type { KeySet, KeySets } from "../ports/key-sets.ts";

const COOLDOWN_MS = 30_000;
/** After a failure: nobody gets in until the issuer answers, so that is tried sooner. */
const COOLDOWN_AFTER_FAILURE_MS = 2_000;
/** A key that the issuer has withdrawn is believed no longer than this. */
const MAX_AGE_MS = 12 * 60 * 60_000;

export class IssuerKeys {
  readonly #url: string;
  readonly #keySets: KeySets;
  readonly #clock: Clock;
  #keys: ReadonlyMap<string, CryptoKey> = new Map();
  #readAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #cooldownMs = COOLDOWN_MS;
  #asking: Promise<void> | undefined;

  constructor(url: string, keySets: KeySets, clock: Clock) {
    this.#url = url;
    this.#keySets = keySets;
    this.#clock = clock;
  }

  /** Undefined: the issuer publishes no such key. */
  async find(keyId: string): Promise<CryptoKey | undefined> {
    if (this.#isFresh() && this.#keys.has(keyId)) return this.#keys.get(keyId);
    await this.#ask();
    if (this.#isFresh()) return this.#keys.get(keyId);
    throw new HoldfastFailure("unavailable", "HoldfastSigningKeysUnavailable", "The issuer of tokens does not answer");
  }

  #isFresh(): boolean {
    return this.#now() - this.#readAt < MAX_AGE_MS;
  }

  /** Requests that come while an answer is under way share it. */
  async #ask(): Promise<void> {
    if (this.#asking === undefined && this.#now() - this.#askedAt < this.#cooldownMs) return;
    this.#asking ??= this.#read().finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  async #read(): Promise<void> {
    this.#askedAt = this.#now();
    this.#cooldownMs = COOLDOWN_MS;
    try {
      this.#keys = await importKeys(await this.#keySets.read(this.#url));
      this.#readAt = this.#askedAt;
    } catch (cause) {
      // The keys that are known go on being good for their time; without any, `find` says so.
      if (!(cause instanceof HoldfastFailure)) throw cause;
      this.#cooldownMs = COOLDOWN_AFTER_FAILURE_MS;
    }
  }

  #now(): number {
    return this.#clock.now().getTime();
  }
}

async function importKeys({ keys }: KeySet): Promise<ReadonlyMap<string, CryptoKey>> {
  const signing = keys.filter(
    ({ kty, use, ...rest }) =>
      kty === "RSA" && (use ?? "sig") === "sig" && ["kid", "n", "e"].every((part) => typeof rest[part] === "string"),
  );
  const imported = signing.map(async (key) => {
    const { kid, n, e } = key as { kid: string; n: string; e: string };
    const jwk: JWK = { kty: "RSA", n, e };
    return [kid, (await importJWK(jwk, "RS256")) as CryptoKey] as const;
  });
  return new Map(await Promise.all(imported));
}
