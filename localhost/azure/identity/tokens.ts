// Making and checking access tokens: RS256, with the claims that ARM, Storage, Key Vault and a backup service look at.
import { randomUUID } from "node:crypto";
import { errors, jwtVerify } from "jose";
import { AzureError } from "../http/azure-error.ts";
import { type Call, headerOf } from "../http/call.ts";
import type { Principal } from "./principals.ts";
import type { SigningKeys } from "./signing-keys.ts";

export interface TokenParts {
  readonly keys: SigningKeys;
  readonly principals: ReadonlyMap<string, Principal>;
  readonly tenant: string;
  /** Scheme and host of the issuer; always this process's own address. */
  readonly issuerOrigin: () => string;
  readonly now: () => number;
}

export interface IssuedToken {
  readonly token: string;
  readonly issuedAt: number;
  readonly expiresIn: number;
}

const LIFETIME_SECONDS = 3600;
const CACHED_TOKENS = 1000;

export class Tokens {
  readonly #parts: TokenParts;
  readonly #checked = new Map<string, { principal: Principal; audience: string; expiresAt: number }>();

  constructor(parts: TokenParts) {
    this.#parts = parts;
  }

  get issuer(): string {
    return `${this.#parts.issuerOrigin()}/${this.#parts.tenant}/v2.0`;
  }

  async issue(principal: Principal, audience: string): Promise<IssuedToken> {
    const issuedAt = Math.floor(this.#parts.now() / 1000);
    const token = await this.#parts.keys.sign({
      aud: audience,
      iss: this.issuer,
      iat: issuedAt,
      nbf: issuedAt - 300,
      exp: issuedAt + LIFETIME_SECONDS,
      appid: principal.clientId,
      azp: principal.clientId,
      idtyp: "app",
      oid: principal.objectId,
      sub: principal.objectId,
      tid: this.#parts.tenant,
      roles: principal.roles.map(({ role }) => role),
      uti: randomUUID(),
      ver: "2.0",
    });
    return { token, issuedAt, expiresIn: LIFETIME_SECONDS };
  }

  /** The principal of the request's bearer token, or Azure's 401. */
  async check(call: Call, audiences: readonly string[]): Promise<Principal> {
    const header = headerOf(call, "authorization");
    if (header === undefined)
      throw this.#refuse(call, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.");
    const token = /^Bearer\s+(\S+)$/i.exec(header)?.[1];
    if (token === undefined)
      throw this.#refuse(
        call,
        "AuthenticationFailedInvalidHeader",
        "Authentication failed. The 'Authorization' header is provided in an invalid format.",
      );
    const now = this.#parts.now();
    const known = this.#checked.get(token);
    const checked = known !== undefined && known.expiresAt > now ? known : await this.#verify(call, token, now);
    if (!audiences.some((audience) => sameAudience(audience, checked.audience)))
      throw this.#refuse(
        call,
        "InvalidAuthenticationTokenAudience",
        `The access token has been obtained for wrong audience or resource '${checked.audience}'. It should exactly match with one of the allowed audiences '${audiences.join("','")}'.`,
      );
    return checked.principal;
  }

  async #verify(call: Call, token: string, now: number) {
    try {
      const { payload } = await jwtVerify(
        token,
        (header) => {
          const key = this.#parts.keys.publicKey(header.kid);
          if (key === undefined) throw new errors.JWKSNoMatchingKey();
          return key;
        },
        { issuer: this.issuer, algorithms: ["RS256"], currentDate: new Date(now), clockTolerance: 300 },
      );
      const principal = this.#parts.principals.get(String(payload.appid).toLowerCase());
      if (principal === undefined) throw new errors.JWTInvalid("No such principal");
      const checked = { principal, audience: String(payload.aud), expiresAt: Number(payload.exp) * 1000 };
      if (this.#checked.size >= CACHED_TOKENS) this.#checked.clear();
      this.#checked.set(token, checked);
      return checked;
    } catch (cause) {
      if (cause instanceof errors.JWTExpired)
        throw this.#refuse(
          call,
          "ExpiredAuthenticationToken",
          "The access token expiry UTC time is earlier than current UTC time.",
        );
      throw this.#refuse(call, "InvalidAuthenticationToken", "The access token is invalid.");
    }
  }

  #refuse(call: Call, code: string, message: string): AzureError {
    const authority = `${call.origin}/${this.#parts.tenant}`;
    return new AzureError(401, code, message, {
      headers: {
        "WWW-Authenticate": `Bearer authorization_uri="${authority}", error="invalid_token", error_description="${message.replaceAll('"', "'")}"`,
      },
    });
  }
}

function sameAudience(left: string, right: string): boolean {
  const plain = (audience: string) => audience.toLowerCase().replace(/\/+$/, "");
  return plain(left) === plain(right);
}
