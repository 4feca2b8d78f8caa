// The API over rows in memory, with callers whose tokens are signed by real keys and whose roles a test decides.

import type { Route } from "../../src/api/api-call.ts";
import type { ApiSettings } from "../../src/api/api-settings.ts";
import { type Api, createApi } from "../../src/api/app.ts";
import type { RoleAssignment } from "../../src/ports/role-assignments.ts";
import type { MemoryTableStore } from "./memory-table-store.ts";
import { type ServiceInMemory, serviceInMemory } from "./service-in-memory.ts";
import { AUDIENCE, TokenIssuer } from "./token-issuer.ts";

export const OWNER = "00000000-0000-4000-8000-00000000000a";
export const VERSION = "2023-06-01";

export interface ApiUnderTest {
  readonly api: Api;
  readonly service: ServiceInMemory;
  readonly tables: MemoryTableStore;
  readonly issuer: TokenIssuer;
  readonly assignments: RoleAssignment[];
  readonly internalErrors: unknown[];
  /** As a caller sends it: method, path with query, body. The owner of everything, unless told otherwise. */
  send(method: string, path: string, body?: unknown, extras?: Extras): Promise<Answered>;
}

export interface Extras {
  readonly caller?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly apiVersion?: string | null;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  readonly body: any;
}

export interface ApiTestOptions {
  readonly settings?: Partial<ApiSettings>;
  readonly routes?: readonly Route[];
}

export async function apiUnderTest({ settings, routes }: ApiTestOptions = {}): Promise<ApiUnderTest> {
  const service = serviceInMemory();
  const { deps, tables } = service;
  const issuer = await TokenIssuer.open(() => service.now);
  const assignments: RoleAssignment[] = [{ principalId: OWNER, role: "Owner", scope: "/" }];
  const internalErrors: unknown[] = [];
  const ports = {
    keySets: issuer,
    roleAssignments: {
      of: async (ids: readonly string[]) => assignments.filter(({ principalId }) => ids.includes(principalId)),
    },
    onInternalError: (cause: unknown) => internalErrors.push(cause),
  };
  const api = createApi(deps, ports, { ...API_SETTINGS, issuers: [trusted(issuer)], ...settings }, routes);
  return {
    ...{ api, service, tables, issuer, assignments, internalErrors },
    send: (method, path, body, extras = {}) => send(api, issuer, method, path, body, extras),
  };
}

const API_SETTINGS: Omit<ApiSettings, "issuers"> = {
  publicUrl: "https://holdfast.test",
  isBehindProxy: false,
  authorityUrl: "https://login.test/tenant",
  pageSize: 100,
  maxBodyBytes: 64 * 1024,
};

const trusted = ({ issuer, keysUrl }: TokenIssuer) => ({ issuer, keysUrl, audiences: [AUDIENCE] });

async function send(
  api: Api,
  issuer: TokenIssuer,
  method: string,
  path: string,
  body: unknown,
  { caller = OWNER, headers = {}, apiVersion = VERSION }: Extras,
): Promise<Answered> {
  const url = new URL(`http://127.0.0.1:7071${path}`);
  if (apiVersion !== null && !url.searchParams.has("api-version")) url.searchParams.set("api-version", apiVersion);
  const token = caller === null ? {} : { Authorization: `Bearer ${await issuer.token(caller)}` };
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const init = { method, headers: { ...token, ...headers }, ...(text !== undefined && { body: text }) };
  const response = await api.fetch(new Request(url, init));
  const answer = await response.text();
  return { status: response.status, headers: response.headers, body: answer === "" ? undefined : JSON.parse(answer) };
}
