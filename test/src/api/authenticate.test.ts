// Who is let in: tokens signed by real keys, good ones and every way in which one can be wrong.

import { type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { beforeEach, describe, expect, it } from "vitest";
import { type Authenticate, createAuthenticate } from "../../../src/api/authenticate.ts";
import { AUDIENCE, TENANT, TokenIssuer } from "../../support/token-issuer.ts";

const ALICE = "aaaaaaaa-0000-4000-8000-000000000001";
const MINUTE_MS = 60_000;

let now: Date;
let issuer: TokenIssuer;
let authenticate: Authenticate;

beforeEach(async () => {
  now = new Date("2026-03-01T12:00:00Z");
  issuer = await TokenIssuer.open(() => now);
  authenticate = createAuthenticate({
    issuers: [{ issuer: issuer.issuer, keysUrl: issuer.keysUrl, audiences: [AUDIENCE, "https://backup.contoso.com"] }],
    tenantId: TENANT,
    keySets: issuer,
    clock: { now: () => now },
  });
});

const pass = (byMs: number) => {
  now = new Date(now.getTime() + byMs);
};
const callWith = async (token: Promise<string>) => authenticate(`Bearer ${await token}`);

describe("a caller", () => {
  it("is who the token says, with its groups", async () => {
    const token = issuer.token(ALICE, { upn: "alice@contoso.com", groups: ["BBBBBBBB-0000-4000-8000-000000000002"] });
    expect(await callWith(token)).toEqual({
      objectId: ALICE,
      displayName: "alice@contoso.com",
      principalIds: [ALICE, "bbbbbbbb-0000-4000-8000-000000000002"],
    });
  });

  it("may write the audience with a slash at its end, and either of several", async () => {
    await callWith(issuer.token(ALICE, { aud: "https://BACKUP.contoso.com//" }));
    await callWith(issuer.token(ALICE, { aud: AUDIENCE }));
  });

  it("has a few minutes of grace for clocks that differ", async () => {
    await callWith(issuer.token(ALICE, { nbf: now.getTime() / 1000 + 240 }));
    await callWith(issuer.token(ALICE, { exp: now.getTime() / 1000 - 240 }));
  });
});

describe("a token is refused", () => {
  const refusedAs = (code: string) => expect.objectContaining({ kind: "denied", code });

  it.each([null])("when there is none", async (header) => {
    await expect(authenticate(header)).rejects.toEqual(refusedAs("AuthenticationFailed"));
  });

  it.each(["", "Basic YTpi", "Bearer", "Bearer a b", "Bearer abc", "Bearer a.b.c", `Bearer ${"a".repeat(40_000)}`])(
    "when the header is %s",
    async (header) => {
      await expect(authenticate(header)).rejects.toEqual(refusedAs("InvalidAuthenticationToken"));
    },
  );

  it.each([
    ["of another audience", { aud: "https://graph.microsoft.com" }, "InvalidAuthenticationTokenAudience"],
    [
      "of ARM's audience, unless the issuer has it",
      { aud: "https://management.azure.com" },
      "InvalidAuthenticationTokenAudience",
    ],
    ["of another tenant", { tid: "99999999-2222-4333-8444-555555555555" }, "InvalidAuthenticationTokenTenant"],
    ["of no tenant", { tid: undefined }, "InvalidAuthenticationTokenTenant"],
    ["of another issuer", { iss: "https://login.test/tenant/v2.0/" }, "InvalidAuthenticationToken"],
    ["that has expired", { exp: 1_772_366_000 }, "ExpiredAuthenticationToken"],
    ["that is not valid yet", { nbf: 1_772_400_000 }, "InvalidAuthenticationToken"],
    ["that never expires", { exp: undefined }, "InvalidAuthenticationToken"],
    ["without an object id", { oid: undefined }, "InvalidAuthenticationToken"],
    ["that is an id token", { azp: undefined, appid: undefined, nonce: "n" }, "InvalidAuthenticationToken"],
  ])("%s", async (_what, claims, code) => {
    await expect(callWith(issuer.token(ALICE, claims as JWTPayload))).rejects.toEqual(refusedAs(code));
  });

  it("when it is not signed at all", async () => {
    const claims = { iss: issuer.issuer, aud: AUDIENCE, tid: TENANT, oid: ALICE, azp: "c", exp: 1_900_000_000 };
    const unsigned = Promise.resolve(new UnsecuredJWT(claims).encode());
    await expect(callWith(unsigned)).rejects.toEqual(refusedAs("InvalidAuthenticationToken"));
  });

  it("when it is signed with a public key as a shared secret", async () => {
    const [key] = (await issuer.read(issuer.keysUrl)).keys;
    const secret = new TextEncoder().encode(JSON.stringify(key));
    const claims = { iss: issuer.issuer, aud: AUDIENCE, tid: TENANT, oid: ALICE, azp: "c", exp: 1_900_000_000 };
    const forged = new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: String(key?.kid) }).sign(secret);
    await expect(callWith(forged)).rejects.toEqual(refusedAs("InvalidAuthenticationToken"));
  });

  it("when another's key has signed it under the published key's name", async () => {
    const thief = await TokenIssuer.open(() => now, { firstKey: 9 });
    await expect(callWith(thief.token(ALICE, {}, { kid: "key-0" }))).rejects.toEqual(
      refusedAs("InvalidAuthenticationToken"),
    );
  });

  it("when one letter of what it says was changed", async () => {
    const [header, body, signature] = (await issuer.token(ALICE)).split(".") as [string, string, string];
    const claims = JSON.parse(Buffer.from(body, "base64url").toString());
    const changed = Buffer.from(JSON.stringify({ ...claims, oid: ALICE.replace("1", "2") })).toString("base64url");
    const token = Promise.resolve([header, changed, signature].join("."));
    await expect(callWith(token)).rejects.toEqual(refusedAs("InvalidAuthenticationToken"));
  });
});

describe("the keys of an issuer", () => {
  it("are asked for once, however many callers come at once", async () => {
    await Promise.all(Array.from({ length: 20 }, () => callWith(issuer.token(ALICE))));
    expect(issuer.readCount).toBe(1);
  });

  it("are asked for again when a token names a new one", async () => {
    await callWith(issuer.token(ALICE));
    pass(MINUTE_MS);
    await issuer.rotate();
    await callWith(issuer.token(ALICE));
    expect(issuer.readCount).toBe(2);
  });

  it("are not asked for again at once by made-up names", async () => {
    await callWith(issuer.token(ALICE));
    pass(MINUTE_MS);
    for (let call = 0; call < 50; call++) {
      const forged = issuer.token(ALICE, {}, { kid: `made-up-${call}` });
      await expect(callWith(forged)).rejects.toMatchObject({ code: "InvalidAuthenticationToken" });
    }
    expect(issuer.readCount).toBe(2);
    await callWith(issuer.token(ALICE));
  });

  it("are believed for a while when the issuer is down, and not for ever", async () => {
    const token = () => issuer.token(ALICE);
    await callWith(token());
    issuer.isDown = true;
    pass(60 * MINUTE_MS);
    await callWith(token());
    pass(24 * 60 * MINUTE_MS);
    await expect(callWith(token())).rejects.toMatchObject({ kind: "unavailable" });
    issuer.isDown = false;
    pass(3_000);
    await callWith(token());
  });

  it("that were withdrawn stop counting", async () => {
    const old = await issuer.token(ALICE, { exp: now.getTime() / 1000 + 48 * 3600 });
    await authenticate(`Bearer ${old}`);
    await issuer.rotate({ forget: true });
    pass(13 * 60 * MINUTE_MS);
    await expect(authenticate(`Bearer ${old}`)).rejects.toMatchObject({ code: "InvalidAuthenticationToken" });
  });
});
