// What clients can do with a hub, without HTTP: start, raise, terminate, suspend, resume, rewind, purge, look. Each
// check and the record that follows from it happen in one turn of the event loop, so no other request gets between;
// each answer is given after everything it rests on is durable.

import { HoldfastFailure } from "../../src/base/failure.ts";
import type { ArchiveKeeper } from "./archive-keeper.ts";
import type { Clock } from "./clock.ts";
import { entityParts } from "./engine/entity.ts";
import { invalidEntityKey, invalidInstanceId, newExecution } from "./engine/ids.ts";
import { type Instance, isTerminal, type RuntimeStatus } from "./engine/instance.ts";
import type { OrchestrationMessage } from "./engine/messages.ts";
import { refusesRewind, unansweredChildren } from "./engine/rewind.ts";
import { snapshotOf } from "./engine/snapshot.ts";
import type { DurableFunctions } from "./functions-port.ts";
import type { HubSettings } from "./hub-settings.ts";
import type { InstanceFilter, InstanceIndex } from "./instance-index.ts";
import type { Ledger } from "./ledger.ts";

export interface StartRequest {
  readonly name: string;
  readonly id?: string;
  /** JSON text. */
  readonly input: string | null;
  readonly version?: string;
}

export interface HubClientParts {
  readonly ledger: Ledger;
  readonly index: InstanceIndex;
  readonly keeper: ArchiveKeeper;
  readonly functions: DurableFunctions;
  readonly settings: HubSettings;
  readonly clock: Clock;
  readonly newId: () => string;
}

/** Of an instance that has ended: whatever is sent to it is too late. */
export class InstanceGone extends HoldfastFailure {
  constructor(id: string, status: RuntimeStatus) {
    super("conflict", "InstanceHasEnded", `Instance '${id}' has ended: it is ${status}.`);
  }
}

const PURGED_PER_RECORD = 500;

export class HubClient {
  readonly #parts: HubClientParts;
  readonly #watchers = new Map<string, Set<() => void>>();

  constructor(parts: HubClientParts) {
    this.#parts = parts;
  }

  async start(request: StartRequest): Promise<string> {
    const { functions, ledger, clock, newId } = this.#parts;
    const id = request.id ?? newId();
    const invalid = invalidInstanceId(id);
    if (invalid !== undefined) throw new HoldfastFailure("invalid", "InvalidInstanceId", invalid);
    const name = functions.nameOf("orchestration", request.name);
    if (name === undefined) throw unknownFunction(functions, "orchestration", request.name);
    this.#refuseRunning(id);
    await ledger.commit({
      r: "created",
      atMs: clock.nowMs(),
      birth: {
        id,
        name,
        input: request.input,
        execution: newExecution(newId),
        ...(request.version !== undefined && { version: request.version }),
      },
    });
    return id;
  }

  #refuseRunning(id: string): void {
    const existing = this.#parts.index.head(id);
    if (existing === undefined || isTerminal(existing.status)) return;
    if (this.#parts.settings.overridableExistingInstanceStates === "AnyState") return;
    throw new HoldfastFailure(
      "conflict",
      "InstanceAlreadyExists",
      `An Orchestration instance with the status ${existing.status} already exists.`,
    );
  }

  /** Delivers to a running instance; fails with `not-found` or InstanceGone when there is none. */
  async send(id: string, message: OrchestrationMessage): Promise<void> {
    this.#running(id);
    await this.#parts.ledger.commit({
      r: "arrived",
      atMs: this.#parts.clock.nowMs(),
      deliveries: [{ to: id, message }],
    });
  }

  async resume(id: string, reason: string): Promise<void> {
    const instance = this.#running(id);
    const willSuspend = instance.inbox.some(({ message }) => message.kind === "suspend");
    if (instance.status !== "Suspended" && !willSuspend) {
      throw new HoldfastFailure(
        "conflict",
        "InstanceNotSuspended",
        `Cannot resume instance '${id}': it is ${instance.status}, not Suspended.`,
      );
    }
    await this.send(id, { kind: "resume", reason });
  }

  #running(id: string): Instance {
    const head = this.#parts.index.head(id);
    if (head === undefined || id.startsWith("@")) throw unknownInstance(id);
    const instance = this.#parts.ledger.state.live.get(id);
    if (instance === undefined || isTerminal(instance.status)) throw new InstanceGone(id, head.status);
    return instance;
  }

  async signalEntity(entityId: string, operation: string, input: string | null): Promise<void> {
    const { functions, ledger, clock, newId } = this.#parts;
    const { name, key } = entityParts(entityId);
    // Nobody waits for the answer to a signal, so nobody would notice that there is no one to hear it.
    if (functions.nameOf("entity", name) === undefined) throw unknownFunction(functions, "entity", name);
    const invalid = invalidEntityKey(key);
    if (invalid !== undefined) throw new HoldfastFailure("invalid", "InvalidEntityKey", invalid);
    const message = { kind: "operation", id: newId(), name: operation, input } as const;
    await ledger.commit({ r: "arrived", atMs: clock.nowMs(), deliveries: [{ to: entityId, message }] });
  }

  /** JSON text of the entity's state, or undefined when the entity does not exist. */
  entityState(entityId: string): string | undefined {
    const entity = this.#parts.ledger.state.live.get(entityId)?.entity;
    return entity?.exists ? (entity.state ?? "null") : undefined;
  }

  entityIds(): string[] {
    const entities = [...this.#parts.ledger.state.live.values()].filter(({ entity }) => entity?.exists === true);
    return entities.map(({ id }) => id);
  }

  /** Resolves when everything that could be seen so far is durable: answers wait for it. */
  settled(): Promise<void> {
    return this.#parts.ledger.settled();
  }

  /** The whole instance as it is now, or undefined. It must not be changed. */
  async find(id: string): Promise<Instance | undefined> {
    if (id.startsWith("@")) return undefined;
    const { ledger, keeper } = this.#parts;
    const live = ledger.state.live.get(id);
    if (live !== undefined) return live;
    const entry = ledger.state.finished.get(id);
    if (entry === undefined) return undefined;
    try {
      return await keeper.read(entry.pointer);
    } catch (error) {
      // Purged or moved while it was being read: look again; a pointer that still stands is really damaged.
      if (ledger.state.finished.get(id)?.pointer === entry.pointer) throw error;
      return this.find(id);
    }
  }

  async list(
    filter: InstanceFilter,
    top: number,
    after: string | undefined,
  ): Promise<{ instances: Instance[]; next: string | undefined }> {
    const { heads, next } = this.#parts.index.page(filter, top, after);
    const instances = await Promise.all(heads.map(({ id }) => this.find(id)));
    return { instances: instances.filter((instance) => instance !== undefined), next };
  }

  async purge(id: string): Promise<number> {
    const head = this.#parts.index.head(id);
    if (head === undefined || !isTerminal(head.status)) return 0;
    await this.#parts.ledger.commit({ r: "purged", ids: [id] });
    return 1;
  }

  async purgeBy(filter: InstanceFilter): Promise<number> {
    let count = 0;
    let after: string | undefined;
    do {
      const { heads, next } = this.#parts.index.page(filter, PURGED_PER_RECORD, after);
      const ids = heads.filter(({ status }) => isTerminal(status)).map(({ id }) => id);
      if (ids.length > 0) await this.#parts.ledger.commit({ r: "purged", ids });
      count += ids.length;
      after = next;
    } while (after !== undefined);
    return count;
  }

  /** Only failed instances can be rewound; those with retried calls are refused with `invalid`. */
  async rewind(id: string, reason: string): Promise<void> {
    const failed = await this.#findFailed(id);
    const family = [failed, ...(await this.#failedFamily(failed))];
    for (const { history } of family) {
      const refusal = refusesRewind(history);
      if (refusal !== undefined) throw new HoldfastFailure("invalid", "RewindNotSupported", refusal);
    }
    const { ledger, clock } = this.#parts;
    // The documents were read from the archive meanwhile: what has changed since is not rewound.
    const isUnchanged = family.every((member) => this.#parts.index.head(member.id)?.updatedAtMs === member.updatedAtMs);
    if (!isUnchanged) throw new HoldfastFailure("conflict", "InstanceChanged", `Instance '${id}' changed meanwhile.`);
    for (const member of family) {
      if (!ledger.state.live.has(member.id))
        ledger.commit({ r: "revived", snapshot: snapshotOf(member) }).catch(() => {});
    }
    const atMs = Math.max(clock.nowMs(), ...family.map((member) => member.updatedAtMs + 1));
    await ledger.commit({ r: "rewound", id, atMs, reason });
  }

  async #findFailed(id: string): Promise<Instance> {
    const instance = await this.find(id);
    if (instance === undefined) throw unknownInstance(id);
    if (instance.status === "Failed") return instance;
    if (isTerminal(instance.status)) throw new InstanceGone(id, instance.status);
    throw new HoldfastFailure(
      "conflict",
      "InstanceNotFailed",
      `The rewind operation is only supported on failed orchestration instances; '${id}' is ${instance.status}.`,
    );
  }

  async #failedFamily(instance: Instance): Promise<Instance[]> {
    const family: Instance[] = [];
    for (const id of unansweredChildren(instance.history)) {
      const child = await this.find(id);
      if (child?.status !== "Failed" || child.parent?.execution !== instance.execution) continue;
      family.push(child, ...(await this.#failedFamily(child)));
    }
    return family;
  }

  /** Resolves true when the instance has ended, false after `timeoutMs`. */
  waitForEnd(id: string, timeoutMs: number): Promise<boolean> {
    const head = this.#parts.index.head(id);
    if (head === undefined || isTerminal(head.status)) return Promise.resolve(true);
    return new Promise((resolve) => {
      const watchers = this.#watchers.get(id) ?? new Set();
      this.#watchers.set(id, watchers);
      const stop = (ended: boolean): void => {
        cancel();
        watchers.delete(onEnd);
        if (watchers.size === 0) this.#watchers.delete(id);
        resolve(ended);
      };
      const onEnd = (): void => stop(true);
      const cancel = this.#parts.clock.after(timeoutMs, () => stop(false));
      watchers.add(onEnd);
    });
  }

  /** Called by the hub when an instance has durably ended. */
  announceEnd(id: string): void {
    for (const onEnd of this.#watchers.get(id) ?? []) onEnd();
  }
}

const KIND_WORDS = {
  orchestration: { one: "an orchestrator", many: "orchestrators" },
  entity: { one: "an entity", many: "entities" },
} as const;

function unknownFunction(functions: DurableFunctions, kind: keyof typeof KIND_WORDS, name: string): HoldfastFailure {
  const { one, many } = KIND_WORDS[kind];
  const known = functions.namesOf(kind);
  const message = `The function '${name}' doesn't exist, is disabled, or is not ${one} function.`;
  const all = `${many[0]?.toUpperCase()}${many.slice(1)} of this app: ${known.join(", ")}.`;
  const hint = known.length === 0 ? `The app has no ${many}.` : all;
  return new HoldfastFailure("invalid", "UnknownFunction", message, { hint });
}

export function unknownInstance(id: string): HoldfastFailure {
  const message = `No instance with ID '${id}' found.`;
  // The durable library replaces INSTANCEID in its links, and takes "$&" in an id for "what was replaced".
  const hint = id.includes("INSTANCEID") ? "Links of the durable library break for ids that contain '$&'." : undefined;
  return new HoldfastFailure("not-found", "InstanceNotFound", message, hint === undefined ? {} : { hint });
}
