// Whatever comes in, what goes out is JSON in ARM's shape and never a fault of the service; and what was refused has
// changed nothing.

import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { ROUTES } from "../../../src/api/routes/routes.ts";
import { type Answered, type ApiUnderTest, apiUnderTest } from "../../support/api-under-test.ts";
import {
  ACCOUNT_ID,
  finishBackup,
  GROUP_ID,
  machineNamed,
  REGION,
  SUBSCRIPTION,
} from "../../support/service-in-memory.ts";

const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/g`;
const VAULT = `${GROUP}/providers/Microsoft.RecoveryServices/vaults/v1`;
const CONTAINER = `${VAULT}/backupFabrics/Azure/protectionContainers/IaasVMContainer;iaasvmcontainerv2;Shop;web-1`;
const ITEM = `${CONTAINER}/protectedItems/VM;iaasvmcontainerv2;Shop;web-1`;
const MACHINE = machineNamed("web-1");
const POLICY_ID = `${VAULT}/backupPolicies/DefaultPolicy`;

let test: ApiUnderTest;
let point: string;
/** Stands for the point, whose id is made with it. */
const POINT = "the-point";

beforeEach(async () => {
  test = await apiUnderTest({ settings: { pageSize: 2 } });
  test.service.machines.push(MACHINE);
  await test.send("PUT", VAULT, { location: REGION, properties: {} });
  const properties = {
    protectedItemType: "Microsoft.Compute/virtualMachines",
    sourceResourceId: MACHINE.id,
    policyId: POLICY_ID,
  };
  expect((await test.send("PUT", ITEM, { properties })).status).toBe(202);
  await test.send("POST", `${ITEM}/backup`, { properties: { objectType: "IaasVMBackupRequest" } });
  point = await finishBackup(test.service);
});

/** Names that fit, and names that do not. */
const known: Readonly<Record<string, readonly string[]>> = {
  subscription: [SUBSCRIPTION],
  group: ["g", "G"],
  vault: ["v1", "V1", "none"],
  fabric: ["Azure", "azure"],
  container: ["IaasVMContainer;iaasvmcontainerv2;Shop;web-1", "iaasvmcontainerv2;shop;WEB-1"],
  item: ["VM;iaasvmcontainerv2;Shop;web-1", "vm;iaasvmcontainerv2;shop;web-1"],
  policy: ["DefaultPolicy", "EnhancedPolicy", "mine"],
  point: [POINT],
  location: [REGION],
};
const anyName = fc.oneof(
  fc.string({ minLength: 1, maxLength: 30, unit: "grapheme" }),
  fc.constantFrom(
    "..",
    ".",
    "a;b;c;d",
    "__proto__",
    "constructor",
    "%2e%2e",
    "null",
    "'",
    '"',
    "0",
    "-1",
    "VM;iaasvmcontainerv2;;",
  ),
);
const nameOf = (parameter: string): fc.Arbitrary<string> => {
  const fitting = known[parameter] ?? [];
  return fitting.length === 0 ? anyName : fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...fitting) }, anyName);
};
const pathOf = (template: string): fc.Arbitrary<string> =>
  fc
    .tuple(...template.split("/").map((part) => (part.startsWith("{") ? nameOf(part.slice(1, -1)) : fc.constant(part))))
    .map((parts) => parts.map(encodeURIComponent).join("/"));
const anyPath = fc.oneof(
  fc.webPath(),
  fc
    .array(anyName, { maxLength: 20 })
    .map((parts) => `/subscriptions/${SUBSCRIPTION}/${parts.map(encodeURIComponent).join("/")}`),
);
const method = fc.constantFrom("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS");
/** Mostly a route with its own method, for what lies behind it is what matters. */
const target = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .constantFrom(...ROUTES)
      .chain((route) => fc.tuple(fc.constant(route.method as string), pathOf(route.path))),
  },
  fc.tuple(
    method,
    fc.constantFrom(...ROUTES).chain(({ path }) => pathOf(path)),
  ),
  fc.tuple(method, anyPath),
);

const key = fc.constantFrom("$filter", "$skipToken", "$top", "x");
const filterText = fc.oneof(
  fc.string(),
  fc.constantFrom("status eq 'Completed'", "startTime eq 'x'", "a eq 'b' and", "backupManagementType eq 'AzureIaasVM'"),
  fc.tuple(fc.string(), fc.string()).map(([name, value]) => `${name} eq '${value}'`),
);
const query = fc
  .array(fc.tuple(key, filterText), { maxLength: 3 })
  .map((pairs) => pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&"));

/** Bodies that are nearly right, with anything in any place. */
const word = fc.oneof(
  fc.constantFrom(MACHINE.id, POLICY_ID, ACCOUNT_ID, GROUP_ID, REGION, "VM", "AzureIaasVM", "", "ProtectionStopped"),
  fc.constantFrom(
    "RestoreDisks",
    "IaasVMRestoreRequest",
    "IaasVMBackupRequest",
    "Daily",
    "Weekly",
    "Enabled",
    "Disabled",
  ),
  fc.string(),
);
const value = fc.oneof(
  word,
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.jsonValue(), { maxLength: 3 }),
  fc.jsonValue(),
);
const fields = (...names: string[]) =>
  fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] });
const properties = fc.oneof(
  fields("protectedItemType", "sourceResourceId", "policyId", "protectionState", "isRehydrate", "extendedProperties"),
  fields("objectType", "recoveryType", "recoveryPointId", "storageAccountId", "targetResourceGroupId", "zones"),
  fields("backupManagementType", "policyType", "timeZone", "schedulePolicy", "retentionPolicy", "instantRPDetails"),
  fields(
    "publicNetworkAccess",
    "monitoringSettings",
    "securitySettings",
    "redundancySettings",
    "softDeleteFeatureState",
  ),
  fc.jsonValue(),
);
const body = fc.oneof(
  fc.constant(undefined),
  fc.string(),
  fc.jsonValue().map((json) => JSON.stringify(json)),
  fc
    .record({ location: value, properties, tags: value, identity: value }, { requiredKeys: [] })
    .map((json) => JSON.stringify(json)),
  fields("resourceType", "resourceId", "vaultId", "name", "featureType").map((json) => JSON.stringify(json)),
);

interface Json {
  [key: string]: unknown;
}

/** Bodies as clients send them, with where they go. */
const RIGHT: readonly { readonly verb: string; readonly path: string; readonly sent: Json }[] = [
  { verb: "PUT", path: VAULT, sent: { location: REGION, sku: { name: "RS0" }, tags: { a: "b" }, properties: {} } },
  {
    ...{ verb: "PATCH", path: `${VAULT}/backupconfig/vaultconfig` },
    sent: { properties: { softDeleteFeatureState: "Enabled", softDeleteRetentionPeriodInDays: 14 } },
  },
  {
    ...{ verb: "PUT", path: `${VAULT}/backupstorageconfig/vaultstorageconfig` },
    sent: { properties: { storageModelType: "GeoRedundant", crossRegionRestoreFlag: false } },
  },
  { verb: "PUT", path: `${VAULT}/backupPolicies/DefaultPolicy`, sent: rightPolicy() },
  {
    ...{ verb: "PUT", path: ITEM },
    sent: {
      properties: {
        ...{
          protectedItemType: "Microsoft.Compute/virtualMachines",
          sourceResourceId: MACHINE.id,
          policyId: POLICY_ID,
        },
        extendedProperties: { diskExclusionProperties: { diskLunList: [0], isInclusionList: false } },
      },
    },
  },
  {
    ...{ verb: "POST", path: `${ITEM}/backup` },
    sent: {
      properties: { objectType: "IaasVMBackupRequest", recoveryPointExpiryTimeInUTC: "2026-04-01T00:00:00Z" },
    },
  },
  {
    ...{ verb: "POST", path: `${ITEM}/recoveryPoints/${POINT}/restore` },
    sent: {
      properties: {
        ...{ objectType: "IaasVMRestoreRequest", recoveryType: "RestoreDisks", sourceResourceId: MACHINE.id },
        ...{ storageAccountId: ACCOUNT_ID, targetResourceGroupId: GROUP_ID, region: REGION, restoreDiskLunList: [0] },
      },
    },
  },
];

function rightPolicy(): Json {
  const days = (count: number, durationType: string) => ({ count, durationType });
  const first = { daysOfTheMonth: [{ date: 1, isLast: false }] };
  const monthly = { retentionScheduleFormatType: "Daily", retentionScheduleDaily: first };
  return {
    properties: {
      ...{ backupManagementType: "AzureIaasVM", timeZone: "UTC", instantRpRetentionRangeInDays: 2 },
      schedulePolicy: {
        ...{ schedulePolicyType: "SimpleSchedulePolicy", scheduleRunFrequency: "Daily" },
        scheduleRunTimes: ["2024-01-01T02:00:00Z"],
      },
      retentionPolicy: {
        retentionPolicyType: "LongTermRetentionPolicy",
        dailySchedule: { retentionTimes: ["2024-01-01T02:00:00Z"], retentionDuration: days(30, "Days") },
        monthlySchedule: { ...monthly, retentionDuration: days(12, "Months") },
      },
    },
  };
}

/** One place of it holds something else, or nothing. */
function withOneChange(json: Json): fc.Arbitrary<Json> {
  return fc.tuple(fc.constantFrom(...placesIn(json)), value, fc.boolean()).map(([place, other, isGone]) => {
    const changed = structuredClone(json);
    const last = place.at(-1) as string;
    const holder = place.slice(0, -1).reduce((at, step) => at[step] as Json, changed);
    if (isGone) delete holder[last];
    else holder[last] = other;
    return changed;
  });
}

function placesIn(json: Json): string[][] {
  return Object.entries(json).flatMap(([step, inner]) => {
    const below = typeof inner === "object" && inner !== null ? placesIn(inner as Json) : [];
    return [[step], ...below.map((place) => [step, ...place])];
  });
}

const READS = ["GET", "HEAD"];

function requireArmShape({ status, headers, body: answered }: Answered, verb: string): void {
  expect(status, JSON.stringify(answered)).toBeLessThan(500);
  expect(headers.get("x-ms-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  if (answered !== undefined) expect(headers.get("content-type")).toContain("application/json");
  if (status < 400 || verb === "HEAD") return;
  const nothing = { target: null, details: null, innerError: null };
  expect(answered).toEqual({
    error: { code: expect.stringMatching(/^\w+$/), message: expect.any(String), ...nothing },
  });
}

const TABLES = ["vaults", "policies", "items", "claims", "containers", "jobs", "operations", "points", "phases"];

/** All rows but those of the audit. */
const rowsOf = () => TABLES.map((table) => test.tables.bodiesOf(table));

describe("anything that is sent", () => {
  it("is answered in ARM's shape, without a fault of the service, and changes nothing when it is refused", async () => {
    await fc.assert(
      fc.asyncProperty(target, query, body, async ([verb, path], asked, sent) => {
        const before = rowsOf();
        const hasBody = sent !== undefined && !READS.includes(verb);
        const answered = await test.send(verb, `/${path.replace(POINT, point)}?${asked}`, hasBody ? sent : undefined);
        requireArmShape(answered, verb);
        if (answered.status >= 400 || READS.includes(verb)) expect(rowsOf()).toEqual(before);
      }),
      { numRuns: 1500 },
    );
    expect(test.internalErrors).toEqual([]);
  });

  it("is answered so when it is nearly right", async () => {
    for (const { verb, path, sent } of RIGHT) {
      await fc.assert(
        fc.asyncProperty(withOneChange(sent), async (changed) => {
          const before = rowsOf();
          const answered = await test.send(verb, path.replace(POINT, point), JSON.stringify(changed));
          requireArmShape(answered, verb);
          if (answered.status >= 400) expect(rowsOf()).toEqual(before);
        }),
        { numRuns: 150 },
      );
      const answered = await test.send(verb, path.replace(POINT, point), sent);
      expect(answered.status, `${verb} ${path}: ${JSON.stringify(answered.body)}`).toBeLessThan(300);
    }
    expect(test.internalErrors).toEqual([]);
  });

  it("is answered so without a token too", async () => {
    await fc.assert(
      fc.asyncProperty(target, async ([verb, path]) => {
        const answered = await test.send(verb, `/${path}`, undefined, { caller: null });
        requireArmShape(answered, verb);
        expect([400, 401]).toContain(answered.status);
      }),
      { numRuns: 200 },
    );
  });
});

describe("every route", () => {
  it("can be reached: with names that fit, none is taken for a path that leads nowhere", async () => {
    for (const { method: verb, path } of ROUTES) {
      const fitting = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
        return encodeURIComponent(known[name]?.[0] ?? "00000000-0000-8000-8000-000000000000");
      });
      const { status, body: answered } = await test.send(
        verb,
        fitting,
        verb === "GET" ? undefined : { properties: {} },
      );
      expect([status, answered?.error?.code], `${verb} ${fitting}`).not.toEqual([404, "OperationNotSupported"]);
      expect(status).not.toBe(405);
      if (verb === "DELETE" || verb === "PUT") await test.send("PUT", VAULT, { location: REGION, properties: {} });
    }
  });
});
