// One container of a storage account as an object store. Conditional headers give create-only and compare-and-swap; each
// upload carries its MD5, so that bytes that changed on the way are refused and listings can be checked against it.

import { createHash } from "node:crypto";
import {
  BaseRequestPolicy,
  ContainerClient,
  newPipeline,
  type Pipeline,
  type RequestPolicy,
  type RequestPolicyOptions,
  RestError,
  StorageSharedKeyCredential,
  type WebResource,
} from "@azure/storage-blob";
import { HoldfastFailure } from "../base/failure.ts";
import type { ByteRange, ObjectContent, ObjectPage, ObjectStore, StoredObject } from "../ports/object-store.ts";

import { azureErrorOf, failureOf } from "./azure-failures.ts";

import { parseAccount } from "./connection-string.ts";

type Credential = NonNullable<Parameters<typeof newPipeline>[0]>;

/** The container must exist. The URL may carry a SAS; the location that others see does not. */
export function openBlobStore(containerUrl: string, credential?: Credential): ObjectStore {
  return new BlobObjectStore(new ContainerClient(containerUrl, pipelineWith(credential)));
}

/** Creates the container if it is not there yet. */
export async function createBlobStore(containerUrl: string, credential?: Credential): Promise<ObjectStore> {
  const client = new ContainerClient(containerUrl, pipelineWith(credential));
  try {
    await client.createIfNotExists();
  } catch (cause) {
    throw translate(cause, client.containerName);
  }
  return new BlobObjectStore(client);
}

export interface StorageAccount {
  readonly blobEndpoint: string;
  readonly credential: StorageSharedKeyCredential;
}

/** The parts of a connection string that blobs need. */
export function parseConnectionString(text: string): StorageAccount {
  const account = parseAccount(text);
  return {
    blobEndpoint: account.endpointOf("blob"),
    credential: new StorageSharedKeyCredential(account.name, account.key),
  };
}

class BlobObjectStore implements ObjectStore {
  readonly location: string;
  private readonly client: ContainerClient;

  constructor(client: ContainerClient) {
    this.client = client;
    this.location = client.url.replace(/\?.*$/, "");
  }

  create(name: string, body: Uint8Array): Promise<StoredObject> {
    return this.upload(name, body, { ifNoneMatch: "*" });
  }

  replace(name: string, body: Uint8Array, etag: string): Promise<StoredObject> {
    return this.upload(name, body, { ifMatch: etag });
  }

  async read(name: string, range?: ByteRange): Promise<ObjectContent> {
    try {
      if (range?.length === 0) return { ...(await this.read(name)), body: new Uint8Array() };
      const answer = await this.client
        .getBlobClient(name)
        .download(range?.offset, range?.length, { maxRetryRequests: 5 });
      const expected = range?.length ?? answer.contentLength ?? 0;
      if ((answer.contentLength ?? 0) < expected) throw beyondEnd(name, range);
      const body = await collect(answer.readableStreamBody, expected, name);
      const total = /\/(\d+)$/.exec(answer.contentRange ?? "")?.[1];
      const object = {
        name,
        sizeBytes: total === undefined ? expected : Number(total),
        etag: answer.etag ?? "",
        lastModified: answer.lastModified ?? new Date(0),
        md5: hexOf(answer.blobContentMD5 ?? (range ? undefined : answer.contentMD5)),
      };
      return { body, object, storeDate: dateOf(answer.date, name) };
    } catch (cause) {
      if (cause instanceof RestError && cause.statusCode === 416) throw beyondEnd(name, range);
      throw translate(cause, name);
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectPage> {
    try {
      for await (const page of this.client.listBlobsFlat({ prefix }).byPage({ maxPageSize: 5_000 })) {
        const objects = page.segment.blobItems.map(({ name, properties }) => ({
          name,
          sizeBytes: properties.contentLength ?? 0,
          etag: quoted(properties.etag),
          lastModified: properties.lastModified,
          md5: hexOf(properties.contentMD5),
        }));
        yield { objects, storeDate: dateOf(page.date, prefix) };
      }
    } catch (cause) {
      throw translate(cause, prefix);
    }
  }

  async delete(name: string): Promise<void> {
    try {
      await this.client.getBlobClient(name).delete();
    } catch (cause) {
      if (cause instanceof RestError && cause.statusCode === 404) return;
      throw translate(cause, name);
    }
  }

  private async upload(
    name: string,
    body: Uint8Array,
    conditions: { ifNoneMatch: string } | { ifMatch: string },
  ): Promise<StoredObject> {
    const md5 = createHash("md5").update(body).digest();
    try {
      const answer = await this.client
        .getBlockBlobClient(name)
        .upload(body, body.length, { conditions, blobHTTPHeaders: { blobContentMD5: md5 } });
      const { etag = "", lastModified = new Date(0) } = answer;
      return { name, sizeBytes: body.length, etag, lastModified, md5: md5.toString("hex") };
    } catch (cause) {
      throw translate(cause, name);
    }
  }
}

function pipelineWith(credential: Credential | undefined): Pipeline {
  const pipeline = newPipeline(credential, { retryOptions: { maxTries: 6 } });
  pipeline.factories.unshift({ create: (next, options) => new ContentMd5Policy(next, options) });
  return pipeline;
}

/** The service checks what arrives against Content-MD5; the client library only ever sets the blob's own property. */
class ContentMd5Policy extends BaseRequestPolicy {
  // The library's own constructor is protected.
  constructor(next: RequestPolicy, options: RequestPolicyOptions) {
    super(next, options);
  }

  override sendRequest(request: WebResource) {
    const md5 = request.headers.get("x-ms-blob-content-md5");
    if (request.method === "PUT" && md5 !== undefined) request.headers.set("content-md5", md5);
    return this._nextPolicy.sendRequest(request);
  }
}

async function collect(stream: NodeJS.ReadableStream | undefined, length: number, name: string): Promise<Uint8Array> {
  const body = Buffer.allocUnsafe(length);
  let done = 0;
  for await (const part of stream ?? []) {
    const bytes = part as Buffer;
    if (done + bytes.length > length) break;
    body.set(bytes, done);
    done += bytes.length;
  }
  if (done !== length)
    throw new HoldfastFailure("unavailable", "HoldfastShortRead", `${name}: the answer was cut short`);
  return body;
}

function translate(cause: unknown, name: string): unknown {
  const code = azureErrorOf(cause)?.code;
  return failureOf(cause, name, {
    "not-found": {
      code: code === "ContainerNotFound" ? "HoldfastContainerNotFound" : "HoldfastObjectNotFound",
      message: `${name} does not exist`,
    },
    conflict:
      code === "BlobAlreadyExists"
        ? { code: "HoldfastObjectExists", message: `${name} exists already` }
        : { code: "HoldfastObjectChanged", message: `${name}: ${code ?? "conflict"}` },
    denied: { code: "HoldfastStoreDenied", message: `${name}: the storage account answered ${code ?? "no"}` },
    throttled: { code: "HoldfastStoreBusy", message: `${name}: the storage account is busy` },
    unavailable: { code: "HoldfastStoreUnavailable" },
  });
}

function beyondEnd(name: string, range: ByteRange | undefined): HoldfastFailure {
  const end = (range?.offset ?? 0) + (range?.length ?? 0);
  return new HoldfastFailure("invalid", "HoldfastRangeBeyondEnd", `${name} ends before ${end}`);
}

function dateOf(date: Date | undefined, name: string): Date {
  if (date) return date;
  throw new HoldfastFailure("unavailable", "HoldfastNoStoreDate", `${name}: the answer carries no date`);
}

function hexOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined || bytes.length === 0 ? undefined : Buffer.from(bytes).toString("hex");
}

/** Listings give etags without the quotes that answers have. */
function quoted(etag: string): string {
  return etag.startsWith('"') ? etag : `"${etag}"`;
}
