import { ManagedIdentityCredential } from "@azure/identity";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ARM_AUDIENCE, startTestAzure, type TestAzure, testEstate } from "../support/azure.ts";

let azure: TestAzure;

beforeAll(async () => {
  azure = await startTestAzure(
    testEstate({
      principals: [
        {
          clientId: "auditor",
          secret: "right",
          objectId: "99999999-9999-4999-8999-999999999999",
          roles: [{ role: "Reader", scope: "/" }],
        },
      ],
    }),
  );
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

async function ask(path: string, form: Record<string, string>) {
  const response = await fetch(`${azure.origin}${path}`, { method: "POST", body: new URLSearchParams(form) });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const credentials = { grant_type: "client_credentials", client_id: "operator", client_secret: "any" };

describe("the issuer of tokens", () => {
  it("publishes what a validator needs, and its tokens hold against it", async () => {
    const discovery = (await (
      await fetch(`${azure.origin}/${azure.tenant}/v2.0/.well-known/openid-configuration`)
    ).json()) as { issuer: string; jwks_uri: string; token_endpoint: string };
    expect(discovery.token_endpoint).toBe(`${azure.origin}/${azure.tenant}/oauth2/v2.0/token`);
    const { body } = await ask(new URL(discovery.token_endpoint).pathname, {
      ...credentials,
      scope: "api://holdfast/.default",
    });
    const { payload } = await jwtVerify(String(body.access_token), createRemoteJWKSet(new URL(discovery.jwks_uri)), {
      issuer: discovery.issuer,
      audience: "api://holdfast",
    });
    expect(payload).toMatchObject({ tid: azure.tenant, roles: ["Backup Operator"], appid: "operator", idtyp: "app" });
    expect(payload.oid).toMatch(/^[0-9a-f-]{36}$/);
    expect(Number(payload.exp) - Number(payload.iat)).toBe(Number(body.expires_in));
  });

  it("speaks the forms of v1, v2 and AD FS", async () => {
    for (const path of [
      "/common/oauth2/v2.0/token",
      "/common/oauth2/token",
      "/adfs/oauth2/token",
      `/${azure.tenant}/oauth2/token`,
    ]) {
      const form = path.includes("v2.0") ? { scope: `${ARM_AUDIENCE}/.default` } : { resource: ARM_AUDIENCE };
      expect(await ask(path, { ...credentials, ...form })).toMatchObject({
        status: 200,
        body: { token_type: "Bearer", resource: ARM_AUDIENCE },
      });
    }
    const adfs = (await (await fetch(`${azure.origin}/adfs/.well-known/openid-configuration`)).json()) as {
      token_endpoint: string;
    };
    expect(adfs.token_endpoint).toBe(`${azure.origin}/adfs/oauth2/token`);
  });

  it("refuses strangers, wrong secrets, other grants and other tenants, as Entra words it", async () => {
    const scope = `${ARM_AUDIENCE}/.default`;
    expect(await ask("/common/oauth2/v2.0/token", { ...credentials, scope, client_id: "nobody" })).toMatchObject({
      status: 400,
      body: { error: "unauthorized_client", error_codes: [700016] },
    });
    expect(
      await ask("/common/oauth2/v2.0/token", { ...credentials, scope, client_id: "auditor", client_secret: "wrong" }),
    ).toMatchObject({ status: 401, body: { error: "invalid_client", error_codes: [7000215] } });
    expect(
      await ask("/common/oauth2/v2.0/token", { ...credentials, scope, client_id: "auditor", client_secret: "right" }),
    ).toMatchObject({ status: 200 });
    expect(await ask("/common/oauth2/v2.0/token", { ...credentials, scope, client_secret: "" })).toMatchObject({
      status: 401,
    });
    expect(await ask("/common/oauth2/v2.0/token", { ...credentials, scope, grant_type: "password" })).toMatchObject({
      status: 400,
      body: { error: "unsupported_grant_type" },
    });
    expect(await ask("/common/oauth2/v2.0/token", { ...credentials, scope: "openid" })).toMatchObject({
      status: 400,
      body: { error: "invalid_scope" },
    });
    expect(
      await ask("/33333333-3333-3333-3333-333333333333/oauth2/v2.0/token", { ...credentials, scope }),
    ).toMatchObject({ status: 400, body: { error_codes: [90002] } });
  });

  it("rotates its key: new tokens carry the new one, old tokens stay good, also after a restart", async () => {
    const before = await azure.token("owner");
    const { kid } = await azure.control("POST", "rotate-token-keys");
    const after = await azure.token("owner");
    expect(decodeProtectedHeader(after).kid).toBe(kid);
    expect(decodeProtectedHeader(before).kid).not.toBe(kid);
    for (const token of [before, after]) {
      const response = await fetch(`${azure.origin}/subscriptions?api-version=2020-01-01`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(response.status).toBe(200);
    }
    const keys = async (origin: string) =>
      ((await (await fetch(`${origin}/common/discovery/v2.0/keys`)).json()) as { keys: { kid: string }[] }).keys.map(
        (key) => key.kid,
      );
    const published = await keys(azure.origin);
    expect(published).toHaveLength(2);
    await azure.close();
    azure = await startTestAzure(testEstate(), azure.dataFolder);
    expect(await keys(azure.origin)).toEqual(published);
  });

  it("lets tokens expire", async () => {
    const token = await azure.token("owner");
    await azure.control("PUT", "faults", { name: "later", fault: { kind: "clock-skew", skewSeconds: 4000 } });
    const response = await fetch(`${azure.origin}/subscriptions?api-version=2020-01-01`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([
      401,
      "ExpiredAuthenticationToken",
    ]);
    await azure.control("DELETE", "faults");
  });
});

describe("the managed identity", () => {
  it("gives @azure/identity its tokens over loopback http, as App Service does", async () => {
    process.env.IDENTITY_ENDPOINT = azure.identityEndpoint;
    process.env.IDENTITY_HEADER = azure.identityHeader;
    try {
      const token = await new ManagedIdentityCredential().getToken("https://management.azure.com/.default");
      expect(token.expiresOnTimestamp).toBeGreaterThan(Date.now());
      const response = await fetch(`${azure.origin}/subscriptions?api-version=2020-01-01`, {
        headers: { authorization: `Bearer ${token.token}` },
      });
      expect(response.status).toBe(200);
    } finally {
      delete process.env.IDENTITY_ENDPOINT;
      delete process.env.IDENTITY_HEADER;
    }
  });

  it("is only for who knows the header, and never for client credentials", async () => {
    const get = (headers: Record<string, string>) =>
      fetch(`${azure.identityEndpoint}?resource=x&api-version=2019-08-01`, { headers });
    expect((await get({})).status).toBe(401);
    expect((await get({ "X-IDENTITY-HEADER": "wrong" })).status).toBe(401);
    expect((await get({ "X-IDENTITY-HEADER": azure.identityHeader })).status).toBe(200);
    expect(
      await ask("/common/oauth2/token", { ...credentials, client_id: "managed-identity", resource: "x" }),
    ).toMatchObject({ status: 400 });
  });
});
