import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GROUP, SUBSCRIPTION, startTestAzure, type TestAzure } from "../support/azure.ts";

let azure: TestAzure;

beforeAll(async () => {
  azure = await startTestAzure();
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

const at = (provider: string, rest: string) => `${GROUP}/providers/${provider}/${rest}`;
const ask = async (path: string, version: string) => {
  const { status, code } = await azure.arm("GET", `${path}?api-version=${version}`);
  return [status, code];
};

describe("api-versions", () => {
  it("of today's and yesterday's clients are understood", async () => {
    const known: [path: string, ...versions: string[]][] = [
      ["/subscriptions", "2019-11-01", "2022-12-01"],
      [at("Microsoft.Compute", "virtualMachines/web-01"), "2022-08-01", "2022-11-01", "2026-04-01"],
      [at("Microsoft.Compute", "disks/web-01_OsDisk"), "2022-03-02", "2026-03-02"],
      [at("Microsoft.Compute", "restorePointCollections"), "2021-03-01", "2026-04-01"],
      [at("Microsoft.Storage", "storageAccounts//demostaging"), "2016-01-01", "2023-05-01"],
      [at("Microsoft.ClassicStorage", "storageAccounts//democlassic"), "2015-12-01"],
      [at("Microsoft.ClassicCompute", "virtualMachines/classic-01"), "2015-12-01", "2017-04-01"],
      [at("Microsoft.Network", "virtualNetworks//demo-vnet"), "2019-11-01", "2024-05-01"],
      [`${GROUP}/providers/Microsoft.Authorization/roleAssignments`, "2015-07-01", "2022-04-01"],
    ];
    for (const [path, ...versions] of known)
      for (const version of versions) expect(await ask(path, version), `${path} ${version}`).toEqual([200, undefined]);
  });

  it("that a type does not have are refused, although a neighbour has them", async () => {
    const unknown: [path: string, ...versions: string[]][] = [
      [at("Microsoft.Compute", "virtualMachines/web-01"), "2024-03-02", "2030-01-01", "2014-01-01"],
      [at("Microsoft.Compute", "virtualMachines/web-01/extensions"), "2018-06-30"],
      [at("Microsoft.Compute", "disks/web-01_OsDisk"), "2024-07-01", "2026-04-01"],
      [at("Microsoft.Compute", "snapshots/none"), "2022-11-01"],
      [at("Microsoft.Compute", "restorePointCollections"), "2020-06-01"],
      [at("Microsoft.Compute", "restorePointCollections/c/restorePoints/p/diskRestorePoints"), "2026-04-01"],
      [at("Microsoft.Storage", "storageAccounts"), "2024-07-01"],
      [at("Microsoft.Network", "networkInterfaces"), "2024-07-02"],
      [`${GROUP}/providers/Microsoft.Authorization/roleAssignments`, "2024-07-01"],
    ];
    for (const [path, ...versions] of unknown)
      for (const version of versions)
        expect(await ask(path, version), `${path} ${version}`).toEqual([400, "NoRegisteredProviderFound"]);
    const { body } = await azure.arm("GET", `${at("Microsoft.Compute", "disks/web-01_OsDisk")}?api-version=2024-07-01`);
    expect(body.error?.message).toMatch(
      /^No registered resource provider found for location '\w+' and API version '2024-07-01' for type 'disks'\. The supported api-versions are '2016-04-30-preview, .*2026-03-02'\. The supported locations are 'northeurope, westeurope'\.$/,
    );
  });

  it("are told by the provider's registration, and each it tells is understood", async () => {
    const { body } = await azure.arm("GET", `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Compute`);
    const types = body.resourceTypes as { resourceType: string; apiVersions: string[] }[];
    expect(types.map(({ resourceType }) => resourceType).sort()).toEqual([
      "disks",
      "restorepointcollections",
      "restorepointcollections/restorepoints/diskrestorepoints",
      "snapshots",
      "virtualmachines",
    ]);
    for (const { resourceType, apiVersions } of types.filter((one) => !one.resourceType.includes("/")))
      for (const version of apiVersions)
        expect(await ask(at("Microsoft.Compute", resourceType), version), version).toEqual([200, undefined]);
  });

  it("are missing, are none, or belong to what does not exist", async () => {
    const raw = async (path: string) => {
      const response = await fetch(`${azure.origin}${path}`, {
        headers: { authorization: `Bearer ${await azure.token("owner")}` },
      });
      return [response.status, ((await response.json()) as { error?: { code: string } }).error?.code];
    };
    const disk = at("Microsoft.Compute", "disks/web-01_OsDisk");
    expect(await raw(disk)).toEqual([400, "MissingApiVersionParameter"]);
    expect(await raw(`${disk}?api-version=`)).toEqual([400, "MissingApiVersionParameter"]);
    expect(await raw("/subscriptions")).toEqual([400, "MissingApiVersionParameter"]);
    expect(await raw(`${disk}?Api-Version=2024-03-02`)).toEqual([200, undefined]);
    expect(await raw(`${disk}?api-version=latest`)).toEqual([400, "InvalidApiVersionParameter"]);
    expect(await raw("/subscriptions?api-version=1999-01-01")).toEqual([400, "InvalidApiVersionParameter"]);
    expect(await raw(`${at("Microsoft.Compute", "toasters/t")}?api-version=1999-01-01`)).toEqual([
      404,
      "InvalidResourceType",
    ]);
    expect(await raw(`${at("Contoso.Compute", "toasters/t")}?api-version=1999-01-01`)).toEqual([
      404,
      "InvalidResourceNamespace",
    ]);
    expect(await raw(`${at("Microsoft.RecoveryServices", "vaults/v")}?api-version=2015-01-01`)).toEqual([
      400,
      "InvalidApiVersionParameter",
    ]);
  });
});
