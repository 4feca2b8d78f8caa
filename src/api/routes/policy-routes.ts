// Policies of a vault.

import {
  countItemsByPolicy,
  deletePolicy,
  getPolicy,
  listPolicies,
  nextRunTime,
  putPolicy,
  setEveryMinutes,
} from "../../control/policies.ts";
import type { PolicyBody } from "../../control/rows/policy-row.ts";
import { warningsOf } from "../../domain/policy-validation.ts";
import { type Answer, type ApiCall, ok, PATHS, type Route } from "../api-call.ts";
import { pageOf } from "../paging.ts";
import { parseBody } from "../request-body.ts";
import { warningHeader } from "../warnings.ts";
import { intervalBody, policyBody, renderInterval, renderPolicy } from "../wire/policy.ts";
import { type InVault, vaultOf } from "./in-vault.ts";

const POLICIES = `${PATHS.vault}/backupPolicies`;
const POLICY = `${POLICIES}/{policy}`;
/** Ours: a run every so many minutes instead of the schedule, which a PUT of the policy by other clients leaves alone. */
const INTERVAL = `${POLICY}/everyMinutes`;

export const POLICY_ROUTES: readonly Route[] = [
  { method: "GET", path: POLICIES, operation: "policies/read", isChange: false, handle: list },
  { method: "GET", path: POLICY, operation: "policies/read", isChange: false, handle: show },
  { method: "PUT", path: POLICY, operation: "policies/write", isChange: true, handle: put },
  { method: "DELETE", path: POLICY, operation: "policies/delete", isChange: true, handle: remove },
  { method: "GET", path: INTERVAL, operation: "policies/read", isChange: false, handle: showInterval },
  { method: "PUT", path: INTERVAL, operation: "policies/write", isChange: true, handle: putInterval },
  { method: "DELETE", path: INTERVAL, operation: "policies/write", isChange: true, handle: removeInterval },
];

async function list(call: ApiCall): Promise<Answer> {
  const inVault = await vaultOf(call);
  const render = await rendererOf(call, inVault);
  const isOfMachines =
    call.filter.admits("backupManagementType", "AzureIaasVM") &&
    call.filter.admits("workloadType", "VM") &&
    call.filter.admits("fabricName", "Azure");
  return ok(
    await pageOf<PolicyBody>(
      call.page,
      (page) => listPolicies(call.deps, { vault: inVault.key, ...page }),
      () => isOfMachines,
      render,
    ),
  );
}

async function show(call: ApiCall): Promise<Answer> {
  const inVault = await vaultOf(call);
  const policy = await getPolicy(call.deps, { vault: inVault.key, policy: call.name("policy") });
  return ok((await rendererOf(call, inVault))(policy));
}

async function put(call: ApiCall): Promise<Answer> {
  const inVault = await vaultOf(call);
  const written = parseBody(policyBody, call.body, "BMSUserErrorInvalidPolicyInput");
  const { policy } = await putPolicy(call.deps, { vault: inVault.key, policy: call.name("policy"), written });
  return { ...ok((await rendererOf(call, inVault))(policy)), headers: warningHeader(warningsOf(policy.policy)) };
}

/** 202 would be refused by one of the clients. */
async function remove(call: ApiCall): Promise<Answer> {
  const { key } = await vaultOf(call);
  const outcome = await deletePolicy(call.deps, { vault: key, policy: call.name("policy") });
  return { status: outcome === "deleted" ? 200 : 204 };
}

async function showInterval(call: ApiCall): Promise<Answer> {
  const { key, path } = await vaultOf(call);
  const policy = await getPolicy(call.deps, { vault: key, policy: call.name("policy") });
  return ok(renderInterval(path, policy.name, policy.policy));
}

async function putInterval(call: ApiCall): Promise<Answer> {
  return changeInterval(call, parseBody(intervalBody, call.body, "BMSUserErrorInvalidPolicyInput"));
}

async function removeInterval(call: ApiCall): Promise<Answer> {
  await changeInterval(call, null);
  return { status: 200 };
}

async function changeInterval(call: ApiCall, everyMinutes: number | null): Promise<Answer> {
  const { key, path } = await vaultOf(call);
  const { name, policy } = await setEveryMinutes(call.deps, { vault: key, policy: call.name("policy"), everyMinutes });
  return ok(renderInterval(path, name, policy));
}

async function rendererOf(call: ApiCall, { key, path }: InVault): Promise<(policy: PolicyBody) => unknown> {
  const counts = await countItemsByPolicy(call.deps, key);
  return (row) =>
    renderPolicy({
      vaultPath: path,
      name: row.name,
      policy: row.policy,
      itemCount: counts.get(row.name.toLowerCase()) ?? 0,
      nextRunAt: nextRunTime(call.deps, row)?.toISOString(),
    });
}
