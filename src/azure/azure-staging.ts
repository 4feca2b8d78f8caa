// Storage accounts that users name for the files of a restore. The account's keys open it, as they do in Azurite; where an
// account forbids keys, the service's own identity does.

import { BlobServiceClient, newPipeline, type Pipeline, StorageSharedKeyCredential } from "@azure/storage-blob";
import { HoldfastFailure } from "../base/failure.ts";
import type { StagedBlob, Staging } from "../ports/staging.ts";
import type { Arm } from "./arm.ts";
import { asked, found } from "./azure-failures.ts";
import { parseTyped } from "./resource-path.ts";
import { STORAGE_RETRIES } from "./storage-retries.ts";

const STORAGE_ACCOUNTS = "Microsoft.Storage/storageAccounts";

export function azureStaging(arm: Arm): Staging {
  return {
    async readAccount(accountId) {
      const account = await findAccount(arm, accountId);
      return account === undefined ? undefined : { location: account.location ?? "" };
    },
    async write(accountId, containerName, files) {
      const container = (await openAccount(arm, accountId)).getContainerClient(containerName);
      return asked(`Container ${containerName} of ${accountId}`, async () => {
        await container.createIfNotExists();
        const staged: StagedBlob[] = [];
        for (const { name, text } of files) {
          const blob = container.getBlockBlobClient(name);
          await blob.upload(text, Buffer.byteLength(text), {
            blobHTTPHeaders: { blobContentType: contentTypeOf(name) },
          });
          staged.push({ name, url: blob.url });
        }
        return staged;
      });
    },
  };
}

function findAccount(arm: Arm, accountId: string) {
  const { subscriptionId, resourceGroup, name } = parseTyped(accountId, STORAGE_ACCOUNTS);
  return found(accountId, () => arm.storage(subscriptionId).storageAccounts.getProperties(resourceGroup, name));
}

async function openAccount(arm: Arm, accountId: string): Promise<BlobServiceClient> {
  const account = await findAccount(arm, accountId);
  const endpoint = account?.primaryEndpoints?.blob;
  if (endpoint === undefined)
    throw new HoldfastFailure("not-found", "HoldfastStagingAccount", `${accountId} is no account with a blob service`);
  const pipeline =
    account?.allowSharedKeyAccess === false
      ? newPipeline(arm.credential, { retryOptions: STORAGE_RETRIES })
      : await pipelineWithKey(arm, accountId);
  return new BlobServiceClient(endpoint.replace(/\/$/, ""), pipeline);
}

async function pipelineWithKey(arm: Arm, accountId: string): Promise<Pipeline> {
  const { subscriptionId, resourceGroup, name } = parseTyped(accountId, STORAGE_ACCOUNTS);
  const { keys = [] } = await asked(accountId, () =>
    arm.storage(subscriptionId).storageAccounts.listKeys(resourceGroup, name),
  );
  const key = keys.find(({ value }) => value !== undefined)?.value ?? "";
  return newPipeline(new StorageSharedKeyCredential(name, key), { retryOptions: STORAGE_RETRIES });
}

function contentTypeOf(name: string): string {
  return name.endsWith(".json") ? "application/json" : "text/plain; charset=utf-8";
}
