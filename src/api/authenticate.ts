// Who calls: the bearer token of a request, checked against the issuers that this deployment trusts. Issuer, tenant and
// audience are pinned; a token that is good elsewhere opens nothing here.

import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import { HoldfastFailure } from "../base/failure.ts";
import type { Clock } from "../ports/clock.ts";
import type { KeySets } from "../ports/key-sets.ts";
import type { TrustedIssuer } from "./api-settings.ts";
import { IssuerKeys } from "./issuer-keys.ts";

export interface Caller {
  readonly objectId: string;
  /** For the audit: the name of a person, or the id of an application. */
  readonly displayName: string;
  /** The caller's own object id and those of its groups: whoever of them holds a role, the caller does. */
  readonly principalIds: readonly string[];
}

export interface AuthenticatorParts {
  readonly issuers: readonly TrustedIssuer[];
  readonly tenantId: string;
  readonly keySets: KeySets;
  readonly clock: Clock;
}

/** As much as clocks of well-kept machines differ. */
const CLOCK_TOLERANCE_SECONDS = 300;
const MAX_TOKEN_LENGTH = 32 * 1024;

export type Authenticate = (authorization: string | null) => Promise<Caller>;

export function createAuthenticate(parts: AuthenticatorParts): Authenticate {
  const keys = new Map(
    parts.issuers.map(({ keysUrl }) => [keysUrl, new IssuerKeys(keysUrl, parts.keySets, parts.clock)]),
  );
  return async (authorization) => {
    const token = bearerOf(authorization);
    const { keyId, issuer } = peek(parts, token);
    const key = await (keys.get(issuer.keysUrl) as IssuerKeys).find(keyId);
    if (key === undefined) throw refused("The token is signed with a key that its issuer does not publish");
    const claims = await verify(token, key, issuer, parts.clock.now());
    checkAudience(claims, issuer);
    checkTenant(claims, parts.tenantId);
    return callerOf(claims);
  };
}

function bearerOf(authorization: string | null): string {
  if (authorization === null) {
    throw new HoldfastFailure("denied", "AuthenticationFailed", "Authentication failed: the request carries no token", {
      hint: "Send one as Authorization: Bearer <token>.",
    });
  }
  const token = /^Bearer +([\w.~+/=-]+) *$/i.exec(authorization)?.[1];
  if (token === undefined || token.length > MAX_TOKEN_LENGTH) throw refused("The Authorization header holds no token");
  return token;
}

/** What the token says of itself, before anything of it is believed: enough to find the key that it must be signed with. */
function peek(parts: AuthenticatorParts, token: string): { keyId: string; issuer: TrustedIssuer } {
  const { kid } = readable(() => decodeProtectedHeader(token));
  const { iss } = readable(() => decodeJwt(token));
  const issuer = parts.issuers.find((one) => one.issuer === iss);
  if (issuer === undefined) throw refused("The token comes from an issuer that is not trusted here");
  if (typeof kid !== "string") throw refused("The token does not name the key that it is signed with");
  return { keyId: kid, issuer };
}

function readable<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (cause) {
    throw refused("The token cannot be read", cause);
  }
}

async function verify(
  token: string,
  key: Parameters<typeof jwtVerify>[1],
  { issuer }: TrustedIssuer,
  now: Date,
): Promise<JWTPayload> {
  try {
    const options = { issuer, algorithms: ["RS256"], currentDate: now, clockTolerance: CLOCK_TOLERANCE_SECONDS };
    return (await jwtVerify(token, key, { ...options, requiredClaims: ["exp", "aud"] })).payload;
  } catch (cause) {
    if (cause instanceof errors.JWTExpired) {
      throw new HoldfastFailure("denied", "ExpiredAuthenticationToken", "The token has expired", { cause });
    }
    throw refused("The token is not valid", cause);
  }
}

function checkAudience({ aud }: JWTPayload, { audiences }: TrustedIssuer): void {
  const given = [aud ?? []].flat().map(plainAudience);
  if (audiences.some((audience) => given.includes(plainAudience(audience)))) return;
  const message = "The token is meant for another audience";
  throw new HoldfastFailure("denied", "InvalidAuthenticationTokenAudience", message, {
    hint: `Ask for one of: ${audiences.join(", ")}.`,
  });
}

/** Clients ask for the same resource with any number of slashes at its end. */
const plainAudience = (audience: string): string => audience.toLowerCase().replace(/\/+$/, "");

function checkTenant({ tid }: JWTPayload, tenantId: string): void {
  if (typeof tid === "string" && tid.toLowerCase() === tenantId.toLowerCase()) return;
  throw new HoldfastFailure("denied", "InvalidAuthenticationTokenTenant", "The token comes from another tenant");
}

function callerOf(claims: JWTPayload): Caller {
  const { oid, appid, azp, upn, preferred_username: username, groups } = claims;
  const application = textOf(appid) ?? textOf(azp);
  // Who signs in to an application gets an id token of it besides; that one names no client, and grants nothing.
  if (typeof oid !== "string" || application === undefined) throw refused("The token is not an access token");
  const groupIds = Array.isArray(groups) ? groups.filter((group) => typeof group === "string") : [];
  return {
    objectId: oid,
    displayName: textOf(upn) ?? textOf(username) ?? application,
    principalIds: [oid, ...groupIds].map((id) => id.toLowerCase()),
  };
}

const textOf = (claim: unknown): string | undefined => (typeof claim === "string" && claim !== "" ? claim : undefined);

function refused(message: string, cause?: unknown): HoldfastFailure {
  return new HoldfastFailure("denied", "InvalidAuthenticationToken", message, { cause });
}
