// The way to Azure Resource Manager: its official clients, one for each subscription, and plain requests for what they do
// not cover. All share one identity, one bound on repeats, and one way to speak to a simulated Azure on this machine.

import { ComputeManagementClient } from "@azure/arm-compute";
import { StorageManagementClient } from "@azure/arm-storage";
import {
  bearerTokenAuthenticationPolicy,
  createDefaultHttpClient,
  createHttpHeaders,
  createPipelineFromOptions,
  createPipelineRequest,
  type HttpClient,
  type HttpMethods,
  type Pipeline,
  RestError,
} from "@azure/core-rest-pipeline";
import { boundedRetries, RETRY_LIMITS, type RetryLimits } from "./bounded-retries.ts";
import type { TokenCredential } from "./credentials.ts";
import { reach } from "./loopback-http.ts";

export interface ArmOptions {
  /** `https://management.azure.com`, or a simulated Azure over plain http on this machine. */
  readonly armUrl: string;
  readonly credential: TokenCredential;
  readonly retries?: RetryLimits;
}

export interface Arm {
  readonly credential: TokenCredential;
  compute(subscriptionId: string): ComputeManagementClient;
  storage(subscriptionId: string): StorageManagementClient;
  /** A request by path, or by a link that an earlier answer gave. Answers other than 2xx are thrown as clients throw them. */
  request(method: HttpMethods, pathOrLink: string, apiVersion: string, body?: unknown): Promise<unknown>;
}

const SCOPE = "https://management.azure.com/.default";
/** No single request takes longer, whatever becomes of its connection. */
const REQUEST_MS = 60_000;

export function connectArm({ armUrl, credential, retries = RETRY_LIMITS }: ArmOptions): Arm {
  const { url, httpClient } = reach(armUrl.replace(/\/$/, ""));
  const client = httpClient === undefined ? createDefaultHttpClient() : behindTls(httpClient);
  const options = {
    endpoint: url,
    httpClient: client,
    credentials: { scopes: [SCOPE] },
    retryOptions: { maxRetries: 0 },
  };
  const plain = bounded(createPipelineFromOptions({ retryOptions: { maxRetries: 0 } }), retries);
  plain.addPolicy(bearerTokenAuthenticationPolicy({ credential, scopes: [SCOPE] }), { phase: "Sign" });
  const compute = perSubscription((id) => new ComputeManagementClient(credential, id, options), retries);
  const storage = perSubscription((id) => new StorageManagementClient(credential, id, options), retries);
  return {
    credential,
    compute,
    storage,
    request: (method, pathOrLink, apiVersion, body) =>
      send(plain, client, method, absolute(url, pathOrLink, apiVersion), body),
  };
}

/** Links that a simulated Azure hands out then say https as well, as its clients insist. */
function behindTls(client: HttpClient): HttpClient {
  return {
    sendRequest(request) {
      request.headers.set("X-Forwarded-Proto", "https");
      return client.sendRequest(request);
    },
  };
}

function perSubscription<Client extends { readonly pipeline: Pipeline }>(
  create: (subscriptionId: string) => Client,
  retries: RetryLimits,
): (subscriptionId: string) => Client {
  const clients = new Map<string, Client>();
  return (subscriptionId) => {
    const known = clients.get(subscriptionId);
    if (known !== undefined) return known;
    const client = create(subscriptionId);
    bounded(client.pipeline, retries);
    clients.set(subscriptionId, client);
    return client;
  };
}

function bounded(pipeline: Pipeline, retries: RetryLimits): Pipeline {
  pipeline.removePolicy({ phase: "Retry" });
  pipeline.addPolicy(boundedRetries(retries), { phase: "Retry" });
  pipeline.addPolicy({
    name: "requestTimeout",
    sendRequest(request, next) {
      request.timeout = REQUEST_MS;
      return next(request);
    },
  });
  return pipeline;
}

function absolute(endpoint: string, pathOrLink: string, apiVersion: string): string {
  const url = new URL(pathOrLink, `${endpoint}/`);
  if (!url.searchParams.has("api-version")) url.searchParams.set("api-version", apiVersion);
  // A link must not lead a token anywhere else.
  return `${endpoint}${url.pathname}${url.search}`;
}

async function send(pipeline: Pipeline, client: HttpClient, method: HttpMethods, url: string, body: unknown) {
  const request = createPipelineRequest({
    url,
    method,
    headers: createHttpHeaders({ accept: "application/json", "content-type": "application/json" }),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const response = await pipeline.sendRequest(client, request);
  const text = response.bodyAsText ?? "";
  if (response.status >= 200 && response.status < 300) return text === "" ? undefined : parsed(text);
  const error = (text.startsWith("{") ? (parsed(text) as { error?: { code?: string; message?: string } }) : {}).error;
  throw new RestError(error?.message ?? `Azure answered ${response.status}`, {
    statusCode: response.status,
    ...(error?.code === undefined ? {} : { code: error.code }),
    response,
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RestError("The answer is no JSON", { code: RestError.PARSE_ERROR });
  }
}
