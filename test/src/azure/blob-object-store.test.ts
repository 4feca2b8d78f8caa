import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createBlobStore, openBlobStore, parseConnectionString } from "../../../src/azure/blob-object-store.ts";
import { objectStoreContract } from "../../contracts/object-store.contract.ts";
import { type Azurite, startAzurite } from "../../support/azurite.ts";

describe("A container of a storage account as an object store", () => {
  let azurite: Azurite;
  let count = 0;
  const freshUrl = () => `${azurite.blobEndpoint}/store-${count++}`;
  beforeAll(async () => {
    azurite = await startAzurite();
  });
  afterAll(() => azurite.stop());

  objectStoreContract(() => createBlobStore(freshUrl(), azurite.credential));

  it("opens by connection string", async () => {
    const url = freshUrl();
    await (await createBlobStore(url, azurite.credential)).create("pins/p", Buffer.from("x"));
    const account = parseConnectionString(azurite.connectionString);
    const store = openBlobStore(`${account.blobEndpoint}/${url.split("/").at(-1)}`, account.credential);
    expect(Buffer.from((await store.read("pins/p")).body).toString()).toBe("x");
  });

  it("says so when the container is not there", async () => {
    const store = openBlobStore(freshUrl(), azurite.credential);
    await expect(store.read("pins/p")).rejects.toMatchObject({ code: "HoldfastContainerNotFound" });
  });

  it("knows the endpoint of a connection string with or without one", () => {
    const text = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5;EndpointSuffix=core.windows.net";
    expect(parseConnectionString(text).blobEndpoint).toBe("https://acc.blob.core.windows.net");
    expect(() => parseConnectionString("AccountName=x")).toThrow(/AccountKey/);
  });
});
