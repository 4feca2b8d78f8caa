// Runs what orchestrations asked for outside themselves: activities and durable HTTP calls. A call is handed over only
// after the step that asked for it is durable, and again after a crash as long as its answer is not: at least once.

import type { HostLog } from "../functions-host/host-log.ts";
import type { Clock } from "./clock.ts";
import type { Call } from "./engine/instance.ts";
import type { TaskAnswer } from "./engine/messages.ts";
import type { DurableFunctions } from "./functions-port.ts";
import type { HubSettings } from "./hub-settings.ts";
import { isTooLarge, type Ledger } from "./ledger.ts";
import { WorkPool } from "./work-pool.ts";

export interface PendingCall {
  readonly id: string;
  readonly execution: string;
  readonly task: number;
  readonly call: Call;
}

const MOST_HTTP_CALLS = 100;

export class CallRunner {
  readonly #ledger: Ledger;
  readonly #functions: DurableFunctions;
  readonly #clock: Clock;
  readonly #activities: WorkPool<PendingCall>;
  readonly #httpCalls: WorkPool<PendingCall>;

  constructor(parts: {
    readonly ledger: Ledger;
    readonly functions: DurableFunctions;
    readonly settings: HubSettings;
    readonly clock: Clock;
    readonly log: HostLog;
  }) {
    this.#ledger = parts.ledger;
    this.#functions = parts.functions;
    this.#clock = parts.clock;
    const onFault = (fault: unknown): void =>
      parts.log.write("error", "DurableTask", `An activity could not be run: ${String(fault)}`);
    const run = (pending: PendingCall): Promise<void> => this.#run(pending);
    this.#activities = new WorkPool(parts.settings.maxConcurrentActivityFunctions, run, onFault);
    this.#httpCalls = new WorkPool(MOST_HTTP_CALLS, run, onFault);
  }

  get runningCount(): number {
    return this.#activities.runningCount + this.#httpCalls.runningCount;
  }

  add(pending: PendingCall): void {
    if (pending.call.kind === "activity") this.#activities.add(pending);
    else this.#httpCalls.add(pending);
  }

  stop(): void {
    this.#activities.stop();
    this.#httpCalls.stop();
  }

  async #run({ id, execution, task, call }: PendingCall): Promise<void> {
    if (!this.#isWanted(id, execution, task)) return;
    const answer = await this.#answer(call, id);
    if (!this.#isWanted(id, execution, task)) return;
    const deliver = (answer: TaskAnswer): void => {
      const deliveries = [{ to: id, message: { kind: "task", execution, task, answer } as const }];
      this.#ledger.commit({ r: "arrived", atMs: this.#clock.nowMs(), deliveries }).catch(() => {});
    };
    try {
      deliver(answer);
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      const what = call.kind === "http" ? `The HTTP call to ${call.request.uri}` : `Activity function '${call.name}'`;
      const reason = `${what} failed: what it answered is too large to be kept. ${error.message} ${error.hint ?? ""}`;
      deliver({ ok: false, reason, details: JSON.stringify({ Message: reason }) });
    }
  }

  #isWanted(id: string, execution: string, task: number): boolean {
    const instance = this.#ledger.state.live.get(id);
    return instance !== undefined && instance.execution === execution && instance.open.has(task);
  }

  #answer(call: Call, instanceId: string): Promise<TaskAnswer> {
    if (call.kind === "http") return this.#functions.callHttp(call.request);
    const name = this.#functions.nameOf("activity", call.name);
    if (name !== undefined)
      return this.#functions.runActivity(name, call.kind === "activity" ? call.input : null, instanceId);
    const known = this.#functions.namesOf("activity");
    const reason =
      `Activity function '${call.name}' failed: The function '${call.name}' doesn't exist, is disabled, or is not an ` +
      `activity function. ${known.length === 0 ? "The app has no activities." : `Activities of this app: ${known.join(", ")}.`}`;
    return Promise.resolve({ ok: false, reason, details: JSON.stringify({ Message: reason }) });
  }
}
