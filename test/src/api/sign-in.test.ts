// Signing in against the simulated Azure: its tokens, its keys and its role assignments, with nothing in between made up.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApi } from "../../../src/api/app.ts";
import { armRoleAssignments } from "../../../src/azure/arm-role-assignments.ts";
import { webKeySets } from "../../../src/azure/web-key-sets.ts";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import type { RoleAssignments } from "../../../src/ports/role-assignments.ts";
import { SUBSCRIPTION, startTestAzure, type TestAzure, testEstate } from "../../localhost/azure/support/azure.ts";
import { serviceInMemory } from "../../support/service-in-memory.ts";

const VAULTS = `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.RecoveryServices/vaults?api-version=2026-07-01`;
const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/demo`;
const ARM = "https://management.azure.com";

let azure: TestAzure;
let assignments: RoleAssignments;
let asked: string[];
let now: Date;
let status: (path: string, token: string) => Promise<[number, string?]>;

beforeAll(async () => {
  const principals = [{ clientId: "auditor", roles: [{ role: "Backup Reader", scope: GROUP }] }];
  azure = await startTestAzure(testEstate({ principals }));
  const discovery = await fetch(`${azure.origin}/common/v2.0/.well-known/openid-configuration`);
  const { issuer } = (await discovery.json()) as { issuer: string };
  const tenantId = new URL(issuer).pathname.split("/")[1] ?? "";
  now = new Date();
  asked = [];
  assignments = armRoleAssignments({
    subscriptionIds: [SUBSCRIPTION],
    clock: { now: () => now },
    async read(path, apiVersion) {
      asked.push(path);
      const joint = path.includes("?") ? "&" : "?";
      const answer = await azure.arm("GET", `${path.replace(azure.origin, "")}${joint}api-version=${apiVersion}`);
      if (answer.status !== 200)
        throw new HoldfastFailure("unavailable", "HoldfastTest", `It answered ${answer.status}`);
      return answer.body;
    },
  });
  const { deps } = serviceInMemory();
  const settings = { ...deps.settings, tenantId, subscriptionIds: [SUBSCRIPTION] };
  const api = createApi(
    { ...deps, settings, clock: { now: () => now } },
    { keySets: webKeySets, roleAssignments: assignments, onInternalError: (cause) => expect.fail(String(cause)) },
    {
      ...{ publicUrl: undefined, isBehindProxy: true, pageSize: 10, maxBodyBytes: 1000 },
      authorityUrl: `${azure.origin}/${tenantId}`,
      issuers: [
        { issuer, keysUrl: `${azure.origin}/${tenantId}/discovery/v2.0/keys`, audiences: ["api://holdfast", ARM] },
      ],
    },
  );
  status = async (path, token) => {
    const headers = { Authorization: `Bearer ${token}` };
    const response = await api.fetch(new Request(`http://h${path}`, { headers }));
    const { error } = (await response.json()) as { error?: { code: string } };
    return error === undefined ? [response.status] : [response.status, error.code];
  };
});
afterAll(() => azure.stop());

describe("a client of the simulated Azure", () => {
  it.each(["owner", "contributor", "operator", "reader"])("that is %s is let in and may look", async (clientId) => {
    expect(await status(VAULTS, await azure.token(clientId, ARM))).toEqual([200]);
    expect(await status(VAULTS, await azure.token(clientId, "api://holdfast"))).toEqual([200]);
  });

  it("sees the group that its role is for, and no more", async () => {
    const token = await azure.token("auditor", ARM);
    const inGroup = VAULTS.replace(`/subscriptions/${SUBSCRIPTION}`, GROUP);
    expect(await status(inGroup, token)).toEqual([200]);
    expect(await status(VAULTS, token)).toEqual([403, "AuthorizationFailed"]);
  });

  it("is refused with a token for something else", async () => {
    const token = await azure.token("owner", "https://storage.azure.com");
    expect(await status(VAULTS, token)).toEqual([401, "InvalidAuthenticationTokenAudience"]);
  });

  it("stays let in when the keys of the issuer change", async () => {
    expect(await status(VAULTS, await azure.token("owner", ARM))).toEqual([200]);
    await azure.control("POST", "rotate-token-keys");
    now = new Date(now.getTime() + 60_000);
    expect(await status(VAULTS, await azure.token("owner", ARM))).toEqual([200]);
  });
});

describe("role assignments", () => {
  it("are asked for once in a few minutes", async () => {
    const callerId = "00000000-0000-4000-8000-000000000000";
    asked.length = 0;
    await Promise.all([assignments.of([callerId]), assignments.of([callerId]), assignments.of([callerId])]);
    expect(asked.filter((path) => path.includes("roleAssignments"))).toHaveLength(1);
    now = new Date(now.getTime() + 6 * 60_000);
    await assignments.of([callerId]);
    expect(asked.filter((path) => path.includes("roleAssignments"))).toHaveLength(2);
  });

  it("of an id that is none are none, and are not asked for", async () => {
    asked.length = 0;
    expect(await assignments.of(["') or principalId eq '"])).toEqual([]);
    expect(asked.filter((path) => path.includes("roleAssignments"))).toEqual([]);
  });
});
