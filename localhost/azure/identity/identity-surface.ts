// What Entra ID and the machine's own identity endpoint answer: discovery documents, public keys, tokens for clients with
// a secret (v1, v2 and AD FS forms), and tokens for the managed identity.
import { randomUUID, timingSafeEqual } from "node:crypto";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, type Call, headerOf, json } from "../http/call.ts";
import type { Route, Surface } from "../http/pipeline.ts";
import { MANAGED_IDENTITY, type Principal } from "./principals.ts";
import type { SigningKeys } from "./signing-keys.ts";
import type { Tokens } from "./tokens.ts";

export interface IdentityParts {
  readonly tokens: Tokens;
  readonly keys: SigningKeys;
  readonly principals: ReadonlyMap<string, Principal>;
  readonly tenant: string;
  /** What callers of the managed-identity endpoint must send as X-IDENTITY-HEADER. */
  readonly identityHeader: string;
}

type Work = (call: Call) => Promise<Answer>;

const TENANT_ALIASES = new Set(["common", "organizations", "adfs"]);
const MAX_FORM_BYTES = 64 * 1024;

export function identitySurface(parts: IdentityParts): Surface<undefined> {
  return {
    name: "identity",
    claims: (call) => workFor(parts, call) !== undefined,
    authenticate: async () => undefined,
    route: (call) => routeOf(parts, call),
    refusal: (call, error) => json(error.status, oauthError(call, error), { ...error.extras.headers }),
  };
}

function routeOf(parts: IdentityParts, call: Call): Route<undefined> {
  const found = workFor(parts, call);
  return { operation: found?.name ?? "other", handle: (asked) => (found as { work: Work }).work(asked) };
}

function workFor(parts: IdentityParts, call: Call): { name: string; work: Work } | undefined {
  const path = call.segments.map((segment) => segment.toLowerCase());
  if (path[0] === "msi" && path[1] === "token")
    return { name: "managed-identity", work: (asked) => managedIdentity(parts, asked) };
  const tail = path.slice(1).join("/");
  const named = (name: string, work: Work) => ({ name, work });
  if (/^(v2\.0\/)?\.well-known\/openid-configuration$/.test(tail))
    return named("discovery", async (asked) => discovery(parts, asked));
  if (/^discovery\/(v2\.0\/)?keys$/.test(tail))
    return named("keys", async () => json(200, { keys: await parts.keys.published() }));
  if (tail === "discovery/instance")
    return named("instance-discovery", async (asked) => instanceDiscovery(parts, asked));
  if (tail === "oauth2/token" || tail === "oauth2/v2.0/token") return named("token", (asked) => token(parts, asked));
  return undefined;
}

function discovery(parts: IdentityParts, call: Call): Answer {
  const tenant = tenantOf(parts, call);
  const at = `${call.origin}/${tenant}`;
  return json(200, {
    // Clients insist that it is the authority they asked; tokens name this process's own address (tokens.ts).
    issuer: `${call.origin}/${parts.tenant}/v2.0`,
    authorization_endpoint: `${at}/oauth2/v2.0/authorize`,
    token_endpoint: tenant === "adfs" ? `${at}/oauth2/token` : `${at}/oauth2/v2.0/token`,
    jwks_uri: `${at}/discovery/v2.0/keys`,
    response_types_supported: ["token"],
    subject_types_supported: ["pairwise"],
    id_token_signing_alg_values_supported: ["RS256"],
    token_endpoint_auth_methods_supported: ["client_secret_post", "client_secret_basic"],
    grant_types_supported: ["client_credentials"],
    scopes_supported: ["openid"],
    claims_supported: ["sub", "iss", "aud", "exp", "iat", "oid", "tid", "roles", "appid"],
  });
}

function instanceDiscovery(parts: IdentityParts, call: Call): Answer {
  const host = new URL(call.origin).host;
  return json(200, {
    tenant_discovery_endpoint: `${call.origin}/${parts.tenant}/v2.0/.well-known/openid-configuration`,
    "api-version": "1.1",
    metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
  });
}

async function token(parts: IdentityParts, call: Call): Promise<Answer> {
  tenantOf(parts, call);
  if (call.method !== "POST")
    throw new AzureError(405, "invalid_request", "AADSTS900561: The endpoint only accepts POST requests.");
  const form = new URLSearchParams(Buffer.concat([...(await call.body(MAX_FORM_BYTES))]).toString("utf8"));
  if (form.get("grant_type") !== "client_credentials")
    throw new AzureError(
      400,
      "unsupported_grant_type",
      `AADSTS70003: The app requested an unsupported grant type '${form.get("grant_type") ?? ""}'.`,
    );
  const { clientId, secret } = credentialsOf(call, form);
  const principal = parts.principals.get(clientId.toLowerCase());
  if (principal === undefined || principal.clientId === MANAGED_IDENTITY)
    throw new AzureError(
      400,
      "unauthorized_client",
      `AADSTS700016: Application with identifier '${clientId}' was not found in the directory.`,
    );
  if (secret === "" || (principal.secret !== undefined && !sameText(secret, principal.secret)))
    throw new AzureError(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.");
  const audience = audienceOf(form.get("scope") ?? undefined, form.get("resource") ?? undefined);
  const issued = await parts.tokens.issue(principal, audience);
  return json(200, {
    token_type: "Bearer",
    expires_in: issued.expiresIn,
    ext_expires_in: issued.expiresIn,
    expires_on: String(issued.issuedAt + issued.expiresIn),
    not_before: String(issued.issuedAt),
    resource: audience,
    access_token: issued.token,
  });
}

async function managedIdentity(parts: IdentityParts, call: Call): Promise<Answer> {
  if (!sameText(headerOf(call, "x-identity-header") ?? "", parts.identityHeader))
    throw new AzureError(401, "unauthorized_client", "The X-IDENTITY-HEADER is missing or wrong.");
  const resource = call.query.get("resource");
  if (resource === undefined) throw new AzureError(400, "invalid_request", "The resource parameter is missing.");
  const principal = parts.principals.get(MANAGED_IDENTITY) as Principal;
  const issued = await parts.tokens.issue(principal, resource);
  return json(200, {
    access_token: issued.token,
    expires_on: String(issued.issuedAt + issued.expiresIn),
    resource,
    token_type: "Bearer",
    client_id: principal.clientId,
  });
}

function tenantOf(parts: IdentityParts, call: Call): string {
  const tenant = (call.segments[0] ?? "").toLowerCase();
  if (tenant === parts.tenant.toLowerCase() || TENANT_ALIASES.has(tenant)) return tenant;
  throw new AzureError(400, "invalid_request", `AADSTS90002: Tenant '${tenant}' not found.`);
}

function credentialsOf(call: Call, form: URLSearchParams): { clientId: string; secret: string } {
  const basic = /^Basic\s+(\S+)$/i.exec(headerOf(call, "authorization") ?? "")?.[1];
  const [user = "", password = ""] =
    basic === undefined ? [] : Buffer.from(basic, "base64").toString().split(":").map(decodeURIComponent);
  return { clientId: form.get("client_id") ?? user, secret: form.get("client_secret") ?? password };
}

function audienceOf(scope: string | undefined, resource: string | undefined): string {
  if (resource !== undefined) return resource;
  const wanted = (scope ?? "").split(" ").find((one) => one.endsWith("/.default"));
  if (wanted === undefined)
    throw new AzureError(
      400,
      "invalid_scope",
      "AADSTS1002012: The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier.",
    );
  return wanted.slice(0, -"/.default".length);
}

function oauthError(call: Call, error: AzureError) {
  const number = /AADSTS(\d+)/.exec(error.message)?.[1];
  return {
    error: error.code,
    error_description: `${error.message} Trace ID: ${call.requestId}`,
    error_codes: number === undefined ? [] : [Number(number)],
    timestamp: new Date().toISOString(),
    trace_id: call.requestId,
    correlation_id: headerOf(call, "client-request-id") ?? randomUUID(),
  };
}

function sameText(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}
