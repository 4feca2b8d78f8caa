import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { storageKeyOf } from "../../../localhost/azure/storage/storage-accounts.ts";
import { azureStaging } from "../../../src/azure/azure-staging.ts";
import type { Staging } from "../../../src/ports/staging.ts";
import { GROUP } from "../../localhost/azure/support/azure.ts";
import { type ServiceAzure, startServiceAzure } from "../../support/azure-service.ts";
import { type Azurite, startAzurite } from "../../support/azurite.ts";

const ACCOUNT = "demostaging";
const KEY = storageKeyOf(ACCOUNT);
const ACCOUNT_ID = `${GROUP}/providers/Microsoft.Storage/storageAccounts/${ACCOUNT}`;
let azurite: Azurite;
let azure: ServiceAzure;
let staging: Staging;

beforeAll(async () => {
  azurite = await startAzurite({ accounts: { [ACCOUNT]: KEY } });
  azure = await startServiceAzure({ blobOrigin: new URL(azurite.blobEndpoint).origin });
  staging = azureStaging(azure.connect());
});

afterEach(() => azure.noFaults());

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
  await azurite.stop();
});

describe("A staging account", () => {
  it("says where it is, or that it is not there", async () => {
    expect(await staging.readAccount(ACCOUNT_ID)).toEqual({ location: "westeurope" });
    expect(await staging.readAccount(`${ACCOUNT_ID}x`)).toBeUndefined();
    await expect(staging.write(`${ACCOUNT_ID}x`, "c", [])).rejects.toMatchObject({ kind: "not-found" });
  });

  it("takes files into a container that is made for them, and the same files once more", async () => {
    const files = [
      { name: "config.json", text: '{"size":"größer"}' },
      { name: "scripts/run.ps1", text: "Write-Output 1" },
    ];
    await staging.write(ACCOUNT_ID, "holdfast-restore-1", [{ name: "config.json", text: "old" }]);
    const staged = await staging.write(ACCOUNT_ID, "holdfast-restore-1", files);
    const endpoint = `${new URL(azurite.blobEndpoint).origin}/${ACCOUNT}`;
    expect(staged).toEqual([
      { name: "config.json", url: `${endpoint}/holdfast-restore-1/config.json` },
      { name: "scripts/run.ps1", url: `${endpoint}/holdfast-restore-1/scripts/run.ps1` },
    ]);
    const service = new BlobServiceClient(endpoint, new StorageSharedKeyCredential(ACCOUNT, KEY));
    for (const { name, text } of files) {
      const blob = service.getContainerClient("holdfast-restore-1").getBlobClient(name);
      expect((await blob.downloadToBuffer()).toString("utf8")).toBe(text);
    }
  });

  it("that cannot be reached now is a failure worth another try, and one whose name is refused is not", async () => {
    await azure.fault("down", { kind: "error", status: 500 }, { surface: "arm" });
    await expect(staging.write(ACCOUNT_ID, "c-1", [])).rejects.toMatchObject({ kind: "unavailable" });
    await azure.noFaults();
    await azure.fault("no-keys", { kind: "throttle", retryAfterSeconds: 60 }, { operation: "listkeys" });
    await expect(staging.write(ACCOUNT_ID, "c-1", [])).rejects.toMatchObject({
      kind: "throttled",
      retryAfterMs: 60_000,
    });
    await azure.noFaults();
    await expect(staging.write(ACCOUNT_ID, "Not A Name", [])).rejects.toMatchObject({ kind: "invalid" });
  });
});
