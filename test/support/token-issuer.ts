// An issuer of access tokens for tests: real RSA keys, published as a key set, rotated at will.

import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { HoldfastFailure } from "../../src/base/failure.ts";
import type { KeySet, KeySets } from "../../src/ports/key-sets.ts";

interface IssuerKey {
  readonly id: string;
  readonly sign: (claims: JWTPayload, header?: object) => Promise<string>;
  readonly published: Readonly<Record<string, unknown>>;
}

const ISSUER = "https://login.test/tenant/v2.0";
export const TENANT = "11111111-2222-4333-8444-555555555555";
export const AUDIENCE = "api://holdfast";

export class TokenIssuer implements KeySets {
  readonly issuer = ISSUER;
  readonly keysUrl = "https://login.test/keys";
  /** How often the key set was asked for. */
  readCount = 0;
  isDown = false;
  #keys: IssuerKey[] = [];
  #nextKey = 0;
  readonly #now: () => Date;

  constructor(now: () => Date) {
    this.#now = now;
  }

  /** Issuers that begin with another key share none. */
  static async open(now: () => Date, { firstKey = 0 } = {}): Promise<TokenIssuer> {
    const issuer = new TokenIssuer(now);
    issuer.#nextKey = firstKey;
    await issuer.rotate();
    return issuer;
  }

  /** The newest key signs; the former are published unless `forget` is set. */
  async rotate({ forget = false } = {}): Promise<void> {
    const key = await keyNumber(this.#nextKey++);
    this.#keys = forget ? [key] : [key, ...this.#keys];
  }

  async read(url: string): Promise<KeySet> {
    this.readCount++;
    if (this.isDown || url !== this.keysUrl) throw new HoldfastFailure("unavailable", "Down", "The issuer is down");
    return { keys: this.#keys.map(({ published }) => published) };
  }

  token(objectId: string, claims: JWTPayload = {}, header: object = {}): Promise<string> {
    const now = Math.floor(this.#now().getTime() / 1000);
    const usual = { iss: ISSUER, aud: AUDIENCE, tid: TENANT, oid: objectId, sub: objectId, azp: "client", ver: "2.0" };
    const times = { iat: now, nbf: now, exp: now + 3600 };
    return (this.#keys[0] as IssuerKey).sign({ ...usual, ...times, ...claims }, header);
  }
}

/** Making one takes most of a second on a busy machine, and no test needs one of its own. */
const made: Promise<IssuerKey>[] = [];

function keyNumber(number: number): Promise<IssuerKey> {
  made[number] ??= newKey(`key-${number}`);
  return made[number];
}

async function newKey(id: string): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
  const published = { ...(await exportJWK(publicKey)), kid: id, use: "sig", alg: "RS256" };
  return {
    id,
    published,
    sign: (claims, header) =>
      new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: id, ...header }).sign(privateKey),
  };
}
