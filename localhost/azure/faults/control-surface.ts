// The control endpoint, for people and tests: faults, token keys, the life of the machines, what their guests write, machine
// conditions, all state, and how to reach everything. Not part of Azure; loopback only, without a token.
import { z } from "zod";
import { keep } from "../arm/resources.ts";
import type { World } from "../arm/world.ts";
import { asVm, vmAsResource } from "../compute/vm-model.ts";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, type Call, json, jsonBody } from "../http/call.ts";
import type { Surface } from "../http/pipeline.ts";
import type { SigningKeys } from "../identity/signing-keys.ts";
import { trimGuestPages, writeGuestPages } from "../life/guest-writes.ts";
import type { Life } from "../life/life.ts";
import { workloadSchema } from "../life/workload.ts";
import { inventoryOf } from "../state/inventory.ts";
import { FaultPlan, faultRuleSchema } from "./fault-plan.ts";

export interface ControlParts {
  readonly world: World;
  readonly faults: FaultPlan;
  readonly keys: SigningKeys;
  readonly life: Life;
  /** What clients need to find everything. */
  readonly environment: () => Record<string, unknown>;
}

type Work = (parts: ControlParts, call: Call) => Promise<Answer>;

const vmChangeSchema = z.strictObject({
  id: z.string().min(1),
  agent: z.enum(["ready", "stale", "absent"]).optional(),
  agentVersion: z.string().optional(),
  freeze: z.enum(["succeeds", "degrades", "fails"]).optional(),
  freezeScripts: z.boolean().optional(),
  workload: workloadSchema.optional(),
});
const ticksSchema = z.strictObject({ ticks: z.number().int().min(1).max(100_000) });

const ROUTES: Readonly<Record<string, Work>> = {
  "GET environment": async ({ environment }) => json(200, environment()),
  "GET faults": async ({ faults }) => json(200, { value: faults.report() }),
  "PUT faults": async ({ world }, call) => {
    const rule = await parsed(call, faultRuleSchema);
    await world.state.commit([{ kind: "document", key: FaultPlan.key(rule.name), value: rule }]);
    return json(200, rule);
  },
  "DELETE faults": async ({ world, faults }, call) => {
    const only = call.query.get("name");
    const gone = faults.report().filter(({ rule }) => only === undefined || rule.name === only);
    await world.state.commit(gone.map(({ rule }) => ({ kind: "document-removed", key: FaultPlan.key(rule.name) })));
    return json(200, { value: gone });
  },
  "POST rotate-token-keys": async ({ keys }) => json(200, { kid: await keys.rotate() }),
  "POST advance-life": async ({ life }, call) =>
    json(200, { written: await life.advance((await parsed(call, ticksSchema)).ticks) }),
  "PATCH virtual-machine": async ({ world }, call) => {
    const { id, ...change } = await parsed(call, vmChangeSchema);
    const vm = asVm(world.resources.get(id));
    const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
    await world.state.commit([keep(vmAsResource({ ...vm, inner: { ...vm.inner, ...given } }))]);
    return json(200, { id: vm.id, ...asVm(world.resources.get(id)).inner });
  },
  "GET state": async ({ world }) => json(200, inventoryOf(world.state)),
  "PUT guest-pages": ({ world }, call) => writeGuestPages(world, call),
  "DELETE guest-pages": ({ world }, call) => trimGuestPages(world, call),
  "POST checkpoint": async ({ world }) => {
    await world.state.rewriteJournal();
    return json(200, { journalBytes: world.state.journalBytes });
  },
};

export function controlSurface(parts: ControlParts): Surface<undefined> {
  return {
    name: "control",
    claims: (call) => call.segments[0] === "control",
    authenticate: async (call) => refuseBrowsers(call),
    route: (call) => {
      const work = ROUTES[`${call.method} ${call.segments.slice(1).join("/")}`];
      if (work === undefined)
        throw new AzureError(404, "NotFound", `The control endpoint offers: ${Object.keys(ROUTES).join(", ")}.`);
      return { operation: "control", handle: () => work(parts, call) };
    },
    refusal: (_call, error) => json(error.status, { error: { code: error.code, message: error.message } }),
  };
}

/** Without a token, at least no web page may reach it: neither by a request of its own nor by a name that points here. */
function refuseBrowsers(call: Call): undefined {
  const host = (call.headers.host ?? "").replace(/:\d+$/, "");
  if (call.headers.origin === undefined && (host === "127.0.0.1" || host === "localhost")) return undefined;
  throw new AzureError(403, "Forbidden", "The control endpoint answers only programs on this machine.");
}

async function parsed<Schema extends z.ZodType>(call: Call, schema: Schema): Promise<z.infer<Schema>> {
  const result = schema.safeParse(await jsonBody(call));
  if (result.success) return result.data;
  throw new AzureError(400, "InvalidParameter", z.prettifyError(result.error));
}
