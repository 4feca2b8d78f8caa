import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GROUP, startTestAzure, type TestAzure } from "../support/azure.ts";

// Bodies that a client got wrong in any way: never a defect of the simulator, always an error with a code, and whatever was
// refused has changed nothing at all.
const COMPUTE = `${GROUP}/providers/Microsoft.Compute`;
let azure: TestAzure;

beforeAll(async () => {
  azure = await startTestAzure();
});

afterAll(() => azure.stop());

const REQUESTS: readonly (readonly [method: string, path: string, body: Record<string, unknown>])[] = [
  [
    "PUT",
    `${COMPUTE}/disks/fuzz`,
    { location: "westeurope", properties: { diskSizeGB: 4, creationData: { createOption: "Empty" } } },
  ],
  [
    "PATCH",
    `${COMPUTE}/disks/db-01_DataDisk_1`,
    { tags: { a: "b" }, properties: { diskSizeGB: 3, networkAccessPolicy: "AllowAll" } },
  ],
  [
    "PUT",
    `${COMPUTE}/snapshots/fuzz`,
    {
      location: "westeurope",
      properties: {
        incremental: true,
        creationData: { createOption: "Copy", sourceResourceId: `${COMPUTE}/disks/web-01_OsDisk` },
      },
    },
  ],
  [
    "PUT",
    `${COMPUTE}/restorePointCollections/fuzz`,
    { location: "westeurope", properties: { source: { id: `${COMPUTE}/virtualMachines/web-01` } } },
  ],
  [
    "PUT",
    `${COMPUTE}/restorePointCollections/fuzz/restorePoints/fuzz`,
    { properties: { excludeDisks: [{ id: "x" }], consistencyMode: "CrashConsistent" } },
  ],
  [
    "PUT",
    `${COMPUTE}/virtualMachines/fuzz`,
    {
      location: "westeurope",
      properties: {
        hardwareProfile: { vmSize: "S" },
        storageProfile: {
          osDisk: { osType: "Linux", createOption: "Attach", managedDisk: { id: "x" } },
          dataDisks: [{ lun: 0, createOption: "Empty", diskSizeGB: 1 }],
        },
      },
    },
  ],
  [
    "PATCH",
    `${COMPUTE}/virtualMachines/db-01`,
    { properties: { storageProfile: { dataDisks: [{ lun: 9, createOption: "Empty", diskSizeGB: 1 }] } } },
  ],
  [
    "POST",
    `${COMPUTE}/virtualMachines/db-01/attachDetachDataDisks`,
    { dataDisksToAttach: [{ diskId: "x", lun: 3 }], dataDisksToDetach: [{ diskId: "y" }] },
  ],
  [
    "PUT",
    `${COMPUTE}/virtualMachines/web-01/extensions/fuzz`,
    { location: "westeurope", properties: { publisher: "p", type: "t" } },
  ],
  ["POST", `${COMPUTE}/virtualMachines/web-01/runCommand`, { commandId: "c", script: ["a"] }],
  ["POST", `${COMPUTE}/snapshots/fuzz/beginGetAccess`, { access: "Read", durationInSeconds: 600, fileFormat: "VHD" }],
  [
    "PUT",
    `${GROUP}/providers/Microsoft.Storage/storageAccounts/fuzzaccount`,
    { location: "westeurope", kind: "StorageV2", sku: { name: "Standard_LRS" }, properties: {} },
  ],
  [
    "PUT",
    `${GROUP}/providers/Microsoft.Network/virtualNetworks/fuzz`,
    { location: "westeurope", properties: { subnets: [{ name: "s", properties: {} }] } },
  ],
  ["PUT", `${GROUP}/providers/Microsoft.Authorization/locks/fuzz`, { properties: { level: "Odd" } }],
];

/** Replaces one place of a body by something else, or takes it away. */
function mutated(body: unknown, path: readonly number[], value: unknown): unknown {
  if (path.length === 0 || body === null || typeof body !== "object") return value;
  const keys = Object.keys(body);
  if (keys.length === 0) return value;
  const key = keys[(path[0] ?? 0) % keys.length] as string;
  const copy: Record<string, unknown> | unknown[] = Array.isArray(body) ? [...body] : { ...body };
  (copy as Record<string, unknown>)[key] = mutated((body as Record<string, unknown>)[key], path.slice(1), value);
  return copy;
}

const odd = fc.oneof(
  fc.constantFrom(null, undefined, "", "0", 0, -1, 1.5, 1e300, true, [], {}, [null], { id: null }, "../../x", "\u0000"),
  fc.string(),
  fc.integer(),
);

/** Sends a request and, if it is refused, compares all state with what it was before. */
async function refusedWithoutTrace(send: () => ReturnType<TestAzure["arm"]>, about: string) {
  const before = await azure.control("GET", "state");
  const answer = await send();
  expect(answer.status, about).toBeLessThan(500);
  if (answer.status < 400) return answer;
  expect(answer.code, about).toMatch(/^[A-Z]\w+$/);
  expect(await azure.control("GET", "state"), about).toEqual(before);
  return answer;
}

describe("bad input", () => {
  it("is never a defect: every answer is a success, or an error with a code that leaves no trace", async () => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...REQUESTS),
        fc.array(fc.nat(5), { minLength: 0, maxLength: 5 }),
        odd,
        async ([method, path, body], place, value) => {
          const text = JSON.stringify(mutated(body, place, value)) ?? "";
          const { status } = await refusedWithoutTrace(
            () => azure.arm(method, path, text),
            `${method} ${path} ${text}`,
          );
          if (status >= 400) refused += 1;
        },
      ),
      { numRuns: 400 },
    );
    expect(refused).toBeGreaterThan(100);
    expect(azure.defects).toEqual([]);
    for (const { id } of ((await azure.arm("GET", `${COMPUTE}/disks`)).body.value as { id: string }[]) ?? [])
      expect((await azure.arm("GET", id)).status).toBe(200);
    expect((await azure.arm("GET", `${COMPUTE}/virtualMachines/web-01?$expand=instanceView`)).status).toBe(200);
  }, 90_000);

  it("in paths and queries is an error as well", async () => {
    for (const path of [
      "/subscriptions/%",
      `${COMPUTE}/disks/%E0%A4%A`,
      `${COMPUTE}/disks?$skipToken=-1`,
      `${COMPUTE}/disks?$skipToken=x`,
      `${COMPUTE}//`,
      "/providers",
      "/subscriptions/x/y/z",
      "/nowhere",
    ]) {
      for (const method of ["GET", "PATCH"]) {
        const answer = await refusedWithoutTrace(() => azure.arm(method, path), path);
        expect(answer.status, path).toBeGreaterThanOrEqual(400);
      }
    }
    expect(azure.defects).toEqual([]);
  });

  it("that is no JSON, too large, or of an unknown version is refused before anything is looked at", async () => {
    for (const [method, path, body] of REQUESTS) {
      const text = JSON.stringify(body);
      const asked: [string, string, string, string][] = [
        [path, text.slice(0, -1), "InvalidRequestContent", "cut short"],
        [path, `${text}}`, "InvalidRequestContent", "one brace too many"],
        [path, "\u0000", "InvalidRequestContent", "binary"],
        [path, JSON.stringify({ ...body, more: "x".repeat(4 * 1024 * 1024) }), "RequestBodyTooLarge", "oversized"],
        [`${path}?api-version=2031-01-01`, text, "NoRegisteredProviderFound", "of the future"],
        [`${path}?api-version=1.0`, text, "InvalidApiVersionParameter", "not a date"],
        [`${path}?api-version=`, text, "MissingApiVersionParameter", "without version"],
      ];
      for (const [where, what, code, about] of asked) {
        const answer = await refusedWithoutTrace(() => azure.arm(method, where, what), `${method} ${path} ${about}`);
        expect(answer.code, `${method} ${path} ${about}`).toBe(code);
      }
    }
    expect(azure.defects).toEqual([]);
  }, 60_000);
});
