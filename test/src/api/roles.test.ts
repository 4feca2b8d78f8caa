// Who may do what, over the API itself: every route with every role, and what a request reaches for besides its vault.

import { beforeEach, describe, expect, it } from "vitest";
import type { Route } from "../../../src/api/api-call.ts";
import { ROUTES } from "../../../src/api/routes/routes.ts";
import { type ApiUnderTest, apiUnderTest } from "../../support/api-under-test.ts";
import {
  ACCOUNT_ID,
  finishBackup,
  GROUP_ID,
  machineNamed,
  REGION,
  SUBSCRIPTION,
} from "../../support/service-in-memory.ts";

const CALLER = "00000000-0000-4000-8000-0000000000cc";
const VAULT = `/subscriptions/${SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.RecoveryServices/vaults/v1`;
const ITEM = `${VAULT}/backupFabrics/Azure/protectionContainers/IaasVMContainer;iaasvmcontainerv2;Shop;web-1/protectedItems/VM;iaasvmcontainerv2;Shop;web-1`;
const MACHINE = machineNamed("web-1");
const SHOP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/Shop`;
const policyId = (name: string) => `${VAULT}/backupPolicies/${name}`;
const protection = (name = "DefaultPolicy") => ({
  properties: {
    protectedItemType: "Microsoft.Compute/virtualMachines",
    sourceResourceId: MACHINE.id,
    policyId: policyId(name),
  },
});

let test: ApiUnderTest;

beforeEach(async () => {
  test = await apiUnderTest();
  test.service.machines.push(MACHINE);
  expect((await test.send("PUT", VAULT, { location: REGION })).status).toBe(201);
});

const grant = (role: string, scope: string) => test.assignments.push({ principalId: CALLER, role, scope });
const asCaller = (method: string, path: string, body?: unknown) => test.send(method, path, body, { caller: CALLER });
const codeOf = async (answer: Promise<{ status: number; body: { error?: { code: string } } | undefined }>) => {
  const { status, body } = await answer;
  return body?.error?.code ?? status;
};

const pathOf = ({ path }: Route): string =>
  path
    .replace("{subscription}", SUBSCRIPTION)
    .replace("{group}", "g")
    .replace("{vault}", "none")
    .replaceAll(/\{\w+\}/g, "x");

/** What only looks: known here by its method, apart from a few questions that are asked by POST. */
const QUESTIONS = /backupStatus|PreValidate|ValidateFeatures|checkNameAvailability|RecommendedForMove$/;
const isReading = ({ method, path }: Route): boolean => method === "GET" || QUESTIONS.test(path);
const isAnyones = ({ path }: Route): boolean => path.startsWith("/providers/");
/** What an Operator may do besides looking. */
const OPERATED =
  /protectedItems\/\{item\}(\/backup)?$|\/restore$|Validate\w*Operation$|refreshContainers$|\/cancel$|\{container\}$/;
const isOperated = (route: Route): boolean => OPERATED.test(route.path) && route.method !== "DELETE";

describe.each([
  ["Owner", () => true],
  ["Contributor", () => true],
  ["Backup Contributor", () => true],
  ["Backup Operator", (route: Route) => isReading(route) || isOperated(route)],
  ["Backup Reader", isReading],
  ["Reader", isReading],
  ["Virtual Machine Contributor", () => false],
  ["backup contributor", () => false],
] as const)("a %s", (role, mayDo) => {
  it("may do what the role allows, route by route, and nothing else", async () => {
    grant(role, "/");
    for (const route of ROUTES) {
      // A body that says what is wanted, for the routes whose operation depends on it.
      const body = route.method === "GET" ? undefined : protection();
      const code = await codeOf(asCaller(route.method, pathOf(route), body));
      const isRefused = code === "AuthorizationFailed";
      expect(isRefused, `${role}: ${route.method} ${route.path}: ${code}`).toBe(!isAnyones(route) && !mayDo(route));
    }
  });
});

describe("protecting a machine", () => {
  it("takes a role that covers the machine: one on the vault alone does not reach it", async () => {
    grant("Backup Contributor", VAULT);
    expect(await codeOf(asCaller("PUT", ITEM, protection()))).toBe("LinkedAuthorizationFailed");
    grant("Reader", SHOP);
    expect(await codeOf(asCaller("PUT", ITEM, protection()))).toBe("LinkedAuthorizationFailed");
    grant("Virtual Machine Contributor", SHOP.toUpperCase());
    expect(await codeOf(asCaller("PUT", ITEM, protection()))).toBe(202);
  });

  it("under a policy that keeps less takes a Contributor, since it removes backups", async () => {
    const { body: policy } = await test.send("GET", policyId("DefaultPolicy"));
    policy.properties.retentionPolicy.dailySchedule.retentionDuration.count = 7;
    expect((await test.send("PUT", policyId("Week"), policy)).status).toBe(200);
    expect((await test.send("PUT", ITEM, protection())).status).toBe(202);
    grant("Backup Operator", "/");
    expect(await codeOf(asCaller("PUT", ITEM, protection("Week")))).toBe("AuthorizationFailed");
    expect((await test.send("PUT", ITEM, protection("Week"))).status).toBe(202);
    expect(await codeOf(asCaller("PUT", ITEM, protection("DefaultPolicy")))).toBe(202);
  });

  it("is no way to delete it for an Operator", async () => {
    expect((await test.send("PUT", ITEM, protection())).status).toBe(202);
    grant("Backup Operator", "/");
    expect(await codeOf(asCaller("DELETE", ITEM))).toBe("AuthorizationFailed");
    const stop = { properties: { ...protection().properties, policyId: "", protectionState: "ProtectionStopped" } };
    expect(await codeOf(asCaller("PUT", ITEM, stop))).toBe(202);
  });
});

describe("restoring", () => {
  it("takes a role over the machine, the group that disks go to, and the account beside them", async () => {
    await test.send("PUT", ITEM, protection());
    await test.send("POST", `${ITEM}/backup`, { properties: { objectType: "IaasVMBackupRequest" } });
    const point = await finishBackup(test.service);
    const properties = {
      ...{ objectType: "IaasVMRestoreRequest", recoveryType: "RestoreDisks", recoveryPointId: point },
      ...{ storageAccountId: ACCOUNT_ID, targetResourceGroupId: GROUP_ID, sourceResourceId: MACHINE.id },
    };
    const restore = () => codeOf(asCaller("POST", `${ITEM}/recoveryPoints/${point}/restore`, { properties }));
    const scopes = [MACHINE.id, GROUP_ID, ACCOUNT_ID];
    grant("Backup Operator", VAULT);
    for (const scope of scopes) {
      expect(await restore()).toBe("LinkedAuthorizationFailed");
      grant("Contributor", scope);
    }
    expect(await restore()).toBe(202);
    const started = test.service.started.filter(({ orchestrator }) => orchestrator === "restore-v1");
    expect(started).toHaveLength(1);
  });
});
