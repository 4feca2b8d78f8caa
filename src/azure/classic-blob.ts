// A page blob of a Classic machine, read with the service's own identity.

import {
  AnonymousCredential,
  BaseRequestPolicy,
  ContainerClient,
  newPipeline,
  PageBlobClient,
  type Pipeline,
  type RequestPolicy,
  type RequestPolicyOptions,
  type WebResource,
} from "@azure/storage-blob";
import type { TokenCredential } from "./credentials.ts";
import { reach } from "./loopback-http.ts";
import { STORAGE_RETRIES } from "./storage-retries.ts";

const SCOPE = "https://storage.azure.com/.default";

export function classicBlob(url: string, credential: TokenCredential): PageBlobClient {
  return new PageBlobClient(url, pipelineFor(url, credential));
}

/** The container in which a blob lies. */
export function classicContainer(blobUrl: string, credential: TokenCredential): ContainerClient {
  const { origin, pathname } = new URL(blobUrl);
  return new ContainerClient(
    `${origin}${pathname.slice(0, pathname.lastIndexOf("/"))}`,
    pipelineFor(blobUrl, credential),
  );
}

function pipelineFor(url: string, credential: TokenCredential): Pipeline {
  if (!reach(url).isLoopback) return newPipeline(credential, { retryOptions: STORAGE_RETRIES });
  // The client's own policy sends no token over plain http, also not to a simulated Azure on this machine.
  const pipeline = newPipeline(new AnonymousCredential(), { retryOptions: STORAGE_RETRIES });
  pipeline.factories.unshift({ create: (next, options) => new LoopbackBearer(next, options, credential) });
  return pipeline;
}

class LoopbackBearer extends BaseRequestPolicy {
  private readonly credential: TokenCredential;

  constructor(next: RequestPolicy, options: RequestPolicyOptions, credential: TokenCredential) {
    super(next, options);
    this.credential = credential;
  }

  override async sendRequest(request: WebResource) {
    const token = reach(request.url).isLoopback ? await this.credential.getToken(SCOPE) : null;
    if (token !== null) request.headers.set("authorization", `Bearer ${token.token}`);
    return this._nextPolicy.sendRequest(request);
  }
}
