// The settings of a deployment, from the environment: read once, checked at once, and everything that is missing or wrong
// named together. What each means is told in docs/operations.md.

import { z } from "zod";
import { HoldfastFailure } from "../base/failure.ts";

const url = z.url();
const list = z
  .string()
  .transform((text) => text.split(",").map((part) => part.trim()))
  .pipe(z.array(z.string().min(1)).min(1));

const json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    context.addIssue({ code: "custom", message: "is no JSON" });
    return z.NEVER;
  }
});

/** A connection string, or the address of the account's service, which the managed identity may use. */
const account = z.string().min(1);

const vaultAccounts = json.pipe(
  z.record(z.string(), z.partialRecord(z.enum(["LocallyRedundant", "ZoneRedundant", "GeoRedundant"]), account)),
);

const issuers = json.pipe(
  z.array(z.object({ issuer: z.string(), keysUrl: url, audiences: z.array(z.string()).min(1) })).min(1),
);

const settings = z.object({
  HOLDFAST_TENANT_ID: z.string().min(1),
  HOLDFAST_SUBSCRIPTIONS: list,
  HOLDFAST_ARM_URL: url.default("https://management.azure.com"),
  HOLDFAST_STATE_ACCOUNT: account,
  HOLDFAST_VAULT_ACCOUNTS: vaultAccounts,
  HOLDFAST_KEY: z.string().min(1),
  HOLDFAST_ISSUERS: issuers,
  HOLDFAST_AUTHORITY_URL: url.optional(),
  HOLDFAST_PUBLIC_URL: url.optional(),
  HOLDFAST_TRUSTED_PROXIES: list.default([]),
  HOLDFAST_ASSUMED_PEER: z.string().optional(),
  HOLDFAST_IDENTITY_CLIENT_ID: z.string().optional(),
  HOLDFAST_PAGE_SIZE: z.coerce.number().int().min(1).max(1_000).default(200),
  HOLDFAST_SLICE_SLOTS: z.coerce.number().int().min(1).max(256).default(4),
});

export type Deployment = z.infer<typeof settings>;

/** Triggers are not told who connected, so the deployment says it: and neither of the two settings says anything alone. */
const checkedSettings = settings.refine(saysAllOrNothingOfProxies, {
  path: ["HOLDFAST_ASSUMED_PEER"],
  error:
    "has to name who connects, loopback or one of HOLDFAST_TRUSTED_PROXIES: the Functions host does not tell, and no " +
    "forwarded header would ever be believed",
  // Named together with whatever else is wrong.
  when: () => true,
});

export function readDeployment(environment: Readonly<Record<string, string | undefined>>): Deployment {
  const parsed = checkedSettings.safeParse(environment);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new HoldfastFailure("invalid", "HoldfastSettings", `Settings are missing or wrong: ${wrong.join("; ")}`, {
    hint: "docs/operations.md says what each setting means.",
  });
}

/** Whether whoever connects is a proxy to be believed. That nobody else can connect, the deployment has to see to. */
export function isBehindProxy(read: ProxySettings): boolean {
  const { HOLDFAST_ASSUMED_PEER: peer, HOLDFAST_TRUSTED_PROXIES: proxies = [] } = read;
  return peer !== undefined && (/^(::1|127(\.\d{1,3}){3})$/.test(peer) || proxies.includes(peer));
}

type ProxySettings = Partial<Pick<Deployment, "HOLDFAST_ASSUMED_PEER" | "HOLDFAST_TRUSTED_PROXIES">>;

function saysAllOrNothingOfProxies(read: ProxySettings): boolean {
  const { HOLDFAST_ASSUMED_PEER: peer, HOLDFAST_TRUSTED_PROXIES: proxies = [] } = read;
  return isBehindProxy(read) || (!peer && proxies.length === 0);
}
