// From what the app registered to the functions the host serves, with the real host's rules for names applied.

import type { FunctionEntry, FunctionKind } from "./function-entry.ts";
import type { RegisteredBinding } from "./rpc.ts";
import type { Registration } from "./worker-state.ts";

/** The rule of the real host. It matches without regard to case, and 'host' is taken. */
const FUNCTION_NAME = /^[a-z][a-z0-9_-]{0,127}$/i;

const KIND_OF_TRIGGER: Readonly<Record<string, FunctionKind>> = {
  httptrigger: "http",
  timertrigger: "timer",
  orchestrationtrigger: "orchestration",
  activitytrigger: "activity",
  entitytrigger: "entity",
};

export interface RefusedFunction {
  readonly name: string;
  readonly reason: string;
}

export interface FunctionTable {
  /** In the order of their names, without regard to case: the order in which routes are matched. */
  readonly entries: readonly FunctionEntry[];
  readonly refused: readonly RefusedFunction[];
}

/** `settings` are the app's: `AzureWebJobs.<function>.Disabled` takes a function out. */
export function buildFunctionTable(
  registrations: ReadonlyMap<string, Registration>,
  settings: Readonly<Record<string, string | undefined>> = {},
): FunctionTable {
  const entries = new Map<string, FunctionEntry>();
  const refused: RefusedFunction[] = [];
  for (const [id, registration] of registrations) {
    const { name } = registration.metadata;
    const reason = refusal(name, entries) ?? triggerRefusal(registration) ?? disabling(name, settings);
    if (reason === undefined) entries.set(name.toLowerCase(), toEntry(id, registration));
    else refused.push({ name, reason });
  }
  return { entries: [...entries.values()].toSorted(byName), refused };
}

function refusal(name: string, entries: ReadonlyMap<string, FunctionEntry>): string | undefined {
  if (!FUNCTION_NAME.test(name) || name.toLowerCase() === "host") {
    return (
      `'${name}' is not a valid function name: it must begin with a letter, continue with letters, digits, '_' or '-', ` +
      "have at most 128 characters, and not be 'host'. Azure would not index it."
    );
  }
  const other = entries.get(name.toLowerCase());
  if (other === undefined) return undefined;
  return `the function '${other.name}' has the same name: names are compared without regard to case.`;
}

function disabling(name: string, settings: Readonly<Record<string, string | undefined>>): string | undefined {
  // Linux takes no dots in the names of variables; Azure accepts both forms.
  const keys = [`AzureWebJobs.${name}.Disabled`, `AzureWebJobs_${name}_Disabled`].map((key) => key.toLowerCase());
  const found = Object.entries(settings).find(([key]) => keys.includes(key.toLowerCase()));
  const isDisabled = found !== undefined && /^(true|1)$/i.test(found[1] ?? "");
  return isDisabled ? `the setting '${found[0]}' disables it.` : undefined;
}

function triggerRefusal({ metadata }: Registration): string | undefined {
  const triggers = Object.values(metadata.bindings).filter(isTrigger);
  if (triggers.length === 1) return undefined;
  return `it has ${triggers.length} triggers where a function has exactly one.`;
}

function isTrigger(binding: RegisteredBinding): boolean {
  return /trigger$/i.test(binding.type);
}

function toEntry(id: string, { metadata, callback }: Registration): FunctionEntry {
  const bindings = Object.entries(metadata.bindings);
  const [triggerName, trigger] = bindings.find(([, binding]) => isTrigger(binding)) as [string, RegisteredBinding];
  return {
    name: metadata.name,
    id,
    kind: KIND_OF_TRIGGER[trigger.type.toLowerCase()] ?? "unsupported",
    metadata,
    callback,
    triggerName,
    trigger,
    durableClientNames: bindings
      .filter(([, { type }]) => /^(durable|orchestration)client$/i.test(type))
      .map(([key]) => key),
  };
}

function byName(a: FunctionEntry, b: FunctionEntry): number {
  const [first, second] = [a.name.toLowerCase(), b.name.toLowerCase()];
  return first < second ? -1 : first > second ? 1 : 0;
}
