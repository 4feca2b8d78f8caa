import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { storageKeyOf } from "../../../../localhost/azure/storage/storage-accounts.ts";
import { startAzurite } from "../../../support/azurite.ts";
import { GROUP, POLL, startTestAzure, type TestAzure, testEstate } from "../support/azure.ts";

let azure: TestAzure;
let storage: ReturnType<TestAzure["storage"]>;

beforeAll(async () => {
  azure = await startTestAzure();
  storage = azure.storage();
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

describe("storage accounts, through the official client", () => {
  it("show their redundancy, and where their blobs are", async () => {
    expect(await storage.storageAccounts.getProperties("demo", "demostaging")).toMatchObject({
      id: `${GROUP}/providers/Microsoft.Storage/storageAccounts/demostaging`,
      sku: { name: "Standard_LRS" },
      primaryEndpoints: { blob: "http://127.0.0.1:10000/demostaging/" },
    });
    const doubled = await azure.arm(
      "GET",
      `${GROUP}/providers/Microsoft.Storage/storageAccounts//demostaging?api-version=2016-01-01`,
    );
    expect(doubled.body.id).toBe(`${GROUP}/providers/Microsoft.Storage/storageAccounts/demostaging`);
    const { keys } = await storage.storageAccounts.listKeys("demo", "demostaging");
    expect(keys?.[0]?.value).toBe(storageKeyOf("demostaging"));
    expect(Buffer.from(keys?.[0]?.value ?? "", "base64")).toHaveLength(64);
  });

  it("are created once under a name, and deleted", async () => {
    const created = await storage.storageAccounts.create(
      "demo",
      "vaultstore01",
      { location: "westeurope", kind: "StorageV2", sku: { name: "Standard_GRS" } },
      POLL,
    );
    expect(created).toMatchObject({ name: "vaultstore01", sku: { name: "Standard_GRS" } });
    expect(
      await storage.storageAccounts.checkNameAvailability({
        name: "vaultstore01",
        type: "Microsoft.Storage/storageAccounts",
      }),
    ).toMatchObject({ nameAvailable: false, reason: "AlreadyExists" });
    expect(
      await storage.storageAccounts.checkNameAvailability({
        name: "No-Good",
        type: "Microsoft.Storage/storageAccounts",
      }),
    ).toMatchObject({ nameAvailable: false, reason: "AccountNameInvalid" });
    await expect(
      storage.storageAccounts.create(
        "north",
        "vaultstore01",
        { location: "northeurope", kind: "StorageV2", sku: { name: "Standard_LRS" } },
        POLL,
      ),
    ).rejects.toMatchObject({ code: "StorageAccountAlreadyTaken" });
    const names: string[] = [];
    for await (const { name } of storage.storageAccounts.list()) names.push(name ?? "");
    expect(names.sort()).toEqual(["demostaging", "vaultstore01"]);
    await storage.storageAccounts.delete("demo", "vaultstore01");
    await expect(storage.storageAccounts.getProperties("demo", "vaultstore01")).rejects.toMatchObject({
      statusCode: 404,
    });
  });

  it("keep the properties of their blob service", async () => {
    await storage.blobServices.setServiceProperties("demo", "demostaging", {
      isVersioningEnabled: true,
      deleteRetentionPolicy: { enabled: true, days: 14 },
    });
    expect(await storage.blobServices.getServiceProperties("demo", "demostaging")).toMatchObject({
      isVersioningEnabled: true,
      deleteRetentionPolicy: { enabled: true, days: 14 },
    });
  });

  it("are Azurite's accounts: what is written with an account's key is where the account says", async () => {
    const azurite = await startAzurite({ accounts: { demostaging: storageKeyOf("demostaging") } });
    const real = await startTestAzure(testEstate({ blobOrigin: new URL(azurite.blobEndpoint).origin }));
    try {
      const { primaryEndpoints } = await real.storage().storageAccounts.getProperties("demo", "demostaging");
      const { keys } = await real.storage().storageAccounts.listKeys("demo", "demostaging");
      const credential = new StorageSharedKeyCredential("demostaging", keys?.[0]?.value ?? "");
      const blobs = new BlobServiceClient(primaryEndpoints?.blob ?? "", credential);
      await blobs.createContainer("vault");
      const blob = blobs.getContainerClient("vault").getBlockBlobClient("pack");
      await blob.upload("kept", 4);
      expect((await blob.downloadToBuffer()).toString()).toBe("kept");
    } finally {
      await real.stop();
      await azurite.stop();
    }
  });
});
