// Storage accounts as ARM shows them; their data lives in Azurite under the same names. Keys follow from the name, so that
// whoever starts Azurite can give it the same ones.
import { createHash } from "node:crypto";
import { z } from "zod";
import { locationSchema } from "../arm/location.ts";
import { drop, keep, type Resource, render } from "../arm/resources.ts";
import { nameOf, parentId } from "../arm/target.ts";
import { type ArmHandler, type ArmRoutes, bodyOf, checkEtag, listOf, type World } from "../arm/world.ts";
import { AzureError } from "../http/azure-error.ts";
import { json } from "../http/call.ts";

export const STORAGE_ACCOUNTS = "Microsoft.Storage/storageAccounts";
const ACCOUNT = "microsoft.storage/storageaccounts";

const accountSchema = z.looseObject({
  location: locationSchema,
  kind: z.string().default("StorageV2"),
  sku: z.looseObject({
    name: z.enum([
      "Standard_LRS",
      "Standard_GRS",
      "Standard_RAGRS",
      "Standard_ZRS",
      "Standard_GZRS",
      "Standard_RAGZRS",
      "Premium_LRS",
      "Premium_ZRS",
    ]),
  }),
  tags: z.record(z.string(), z.string()).optional(),
  properties: z.looseObject({}).default({}),
});
const patchSchema = accountSchema.partial();
const nameSchema = z.looseObject({ name: z.string() });
const blobServiceSchema = z.looseObject({ properties: z.looseObject({}).default({}) });

export const storageRoutes: ArmRoutes = {
  [`GET ${ACCOUNT}`]: listOf(STORAGE_ACCOUNTS, showAccount),
  [`GET ${ACCOUNT}/{}`]: (world, request) => json(200, showAccount(world, world.resources.get(request.id))),
  [`PUT ${ACCOUNT}/{}`]: async (world, request) => {
    const body = bodyOf(request, accountSchema);
    const existing = world.resources.find(request.id);
    checkEtag(request, existing);
    checkName(world, nameOf(request.id), request.id);
    const { location, kind, sku, tags, properties } = body;
    const account: Resource = {
      ...(existing ?? { inner: { createdAt: world.now() } }),
      id: existing?.id ?? request.id,
      location,
      kind,
      sku: { ...sku, tier: sku.name.startsWith("Premium") ? "Premium" : "Standard" },
      tags,
      properties: { ...existing?.properties, ...properties },
    };
    await world.state.commit([keep(account)]);
    return json(200, showAccount(world, account));
  },
  [`PATCH ${ACCOUNT}/{}`]: async (world, request) => {
    const { sku, tags, properties } = bodyOf(request, patchSchema);
    const account = world.resources.get(request.id);
    const changed = {
      ...account,
      sku: sku === undefined ? account.sku : { ...account.sku, ...sku },
      tags: tags ?? account.tags,
      properties: { ...account.properties, ...properties },
    };
    await world.state.commit([keep(changed)]);
    return json(200, showAccount(world, changed));
  },
  [`DELETE ${ACCOUNT}/{}`]: async (world, request) => {
    const account = world.resources.find(request.id);
    if (account === undefined) return { status: 204 };
    await world.state.commit([drop(account.id)]);
    return { status: 200 };
  },
  [`POST ${ACCOUNT}/{}/listkeys`]: (world, request) => {
    const name = nameOf(world.resources.get(request.id).id);
    return json(200, {
      keys: ["key1", "key2"].map((keyName) => ({
        keyName,
        value: storageKeyOf(name),
        permissions: "FULL",
        creationTime: new Date(0).toISOString(),
      })),
    });
  },
  "POST microsoft.storage/checknameavailability": async (world, request) => {
    const { name } = bodyOf(request, nameSchema);
    try {
      checkName(world, name, undefined);
      return json(200, { nameAvailable: true });
    } catch (thrown) {
      if (!(thrown instanceof AzureError)) throw thrown;
      return json(200, {
        nameAvailable: false,
        reason: thrown.status === 409 ? "AlreadyExists" : "AccountNameInvalid",
        message: thrown.message,
      });
    }
  },
  [`GET ${ACCOUNT}/{}/blobservices`]: (world, request) =>
    json(200, { value: [showBlobService(world, `${request.id}/default`)] }),
  [`GET ${ACCOUNT}/{}/blobservices/{}`]: (world, request) => json(200, showBlobService(world, request.id)),
  [`PUT ${ACCOUNT}/{}/blobservices/{}`]: (world, request) => putBlobService(world, request),
};

/** The shared key of an account, the same on every machine; it protects nothing but a loopback Azurite. */
export function storageKeyOf(accountName: string): string {
  return createHash("sha512").update(`simulated storage account ${accountName.toLowerCase()}`).digest("base64");
}

const putBlobService: ArmHandler = async (world, request) => {
  const { properties } = bodyOf(request, blobServiceSchema);
  const account = world.resources.get(parentId(request.id));
  const inner = {
    ...account.inner,
    blobService: { ...(account.inner.blobService as object | undefined), ...properties },
  };
  await world.state.commit([keep({ ...account, inner })]);
  return json(200, showBlobService(world, request.id));
};

function showBlobService(world: World, id: string): unknown {
  const account = world.resources.get(parentId(id));
  const properties = {
    deleteRetentionPolicy: { enabled: false },
    isVersioningEnabled: false,
    ...(account.inner.blobService as object | undefined),
  };
  return {
    id: `${account.id}/blobServices/default`,
    name: "default",
    type: `${STORAGE_ACCOUNTS}/blobServices`,
    sku: account.sku,
    properties,
  };
}

function showAccount(world: World, account: Resource): unknown {
  const name = nameOf(account.id);
  return render(account, world.now(), {
    creationTime: new Date(Number(account.inner.createdAt ?? 0)).toISOString(),
    primaryLocation: account.location,
    statusOfPrimary: "available",
    primaryEndpoints: { blob: `${world.blobOrigin}/${name}/` },
    encryption: { keySource: "Microsoft.Storage", services: { blob: { enabled: true, keyType: "Account" } } },
  });
}

function checkName(world: World, name: string, ownId: string | undefined): void {
  if (!/^[a-z0-9]{3,24}$/.test(name))
    throw new AzureError(
      400,
      "AccountNameInvalid",
      `${name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length and use numbers and lower-case letters only.`,
    );
  const taken = world.resources
    .ofType(STORAGE_ACCOUNTS)
    .some(({ id }) => nameOf(id) === name && id.toLowerCase() !== ownId?.toLowerCase());
  if (taken)
    throw new AzureError(409, "StorageAccountAlreadyTaken", `The storage account named ${name} is already taken.`);
}
