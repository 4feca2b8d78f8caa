// Runs several operations over one world in every order their requests can come in, with crashes and lost answers where
// allowed. Each request of each actor waits at a gate; at every state one is let through; states seen before are not gone
// into again. What two actors do between requests is their own memory, so this covers all that a store can observe.

import { createHash } from "node:crypto";
import { HoldfastFailure } from "../../src/base/failure.ts";

/** What lies behind the gate; each run has a copy of its own. */
export interface Copyable {
  copy(): Copyable;
  /** Equal for worlds that no actor can tell apart. */
  digest(): string;
}

export interface GatedActor<World> {
  readonly name: string;
  /** Every request goes through the gate. Failures are outcomes, not ends of the world: the answer says which. */
  run(world: World, gate: Gate): Promise<unknown>;
}

export type Gate = <T>(text: string, isWrite: boolean, perform: () => Promise<T>) => Promise<T>;

export interface GatedExploration<World extends Copyable> {
  readonly world: World;
  readonly actors: readonly GatedActor<World>[];
  /** How many times in one run an actor may die, or a write may take effect and its answer get lost. */
  readonly crashes?: number;
  readonly lostAnswers?: number;
  /** Explore only orders in which an actor that could go on is set aside this often: what most races need is two. */
  readonly maxPreemptions?: number;
  readonly maxStates?: number;
  /** Called right before a request takes effect. */
  before?(world: World, text: string): void;
  /** Called in every new state; throws when something is lost. */
  check?(world: World): void;
  /** Called when all have ended. */
  checkEnd?(world: World, outcomes: ReadonlyMap<string, Outcome>): Promise<void> | void;
  /** What an actor learns from an answer: answers that are alike lead on alike. */
  summaryOf(value: unknown): string;
}

export type Outcome = { readonly kind: "done" | "crashed" } | { readonly kind: "failed"; readonly code: string };

export interface Explored {
  readonly states: number;
  readonly runs: number;
}

interface Choice {
  readonly kind: "proceed" | "crash" | "lose-answer";
  readonly actor: number;
}

export class Violation extends Error {
  override readonly name = "Violation";
}

/** Explores all; throws a Violation that tells the shortest found way to the state that broke the check. */
export async function exploreGated<World extends Copyable>(exploration: GatedExploration<World>): Promise<Explored> {
  const seen = new Map<string, number>();
  const waiting: Choice[][] = [[]];
  let runs = 0;
  while (waiting.length > 0) {
    const path = waiting.pop() as Choice[];
    runs++;
    const run = new Run<World>(exploration);
    await run.start();
    for (const choice of path) await run.take(choice);
    for (;;) {
      const state = run.digest();
      // Who comes here with more preemptions left can go on in more ways.
      if ((seen.get(state) ?? Number.POSITIVE_INFINITY) <= run.preemptions) break;
      seen.set(state, run.preemptions);
      if (exploration.maxStates !== undefined && seen.size > exploration.maxStates) {
        throw new Error(`more than ${exploration.maxStates} states`);
      }
      await run.check();
      const [first, ...others] = run.choices();
      if (first === undefined) break;
      const before = [...run.path];
      for (const other of others) waiting.push([...before, other]);
      await run.take(first);
    }
  }
  return { states: seen.size, runs };
}

interface Request {
  readonly text: string;
  readonly isWrite: boolean;
  perform(): Promise<unknown>;
  resolve(value: unknown): void;
  reject(cause: unknown): void;
}

class Run<World extends Copyable> {
  readonly path: Choice[] = [];
  private readonly exploration: GatedExploration<World>;
  private readonly world: World;
  /** An actor may have asked for several things at once: they go one after another, in the order they came. */
  private readonly pending = new Map<number, Request[]>();
  private readonly histories: string[];
  private readonly outcomes = new Map<string, Outcome>();
  private readonly trace: string[] = [];
  private crashes = 0;
  private lost = 0;
  preemptions = 0;
  private current = -1;

  constructor(exploration: GatedExploration<World>) {
    this.exploration = exploration;
    this.world = exploration.world.copy() as World;
    this.histories = exploration.actors.map(() => "");
  }

  async start(): Promise<void> {
    for (const [index, actor] of this.exploration.actors.entries()) {
      const gate: Gate = (text, isWrite, perform) =>
        new Promise((resolve, reject) => {
          const request = { text, isWrite, perform, resolve: resolve as (value: unknown) => void, reject };
          // What a crashed actor had asked for besides is never asked.
          if (this.outcomes.has(actor.name)) return;
          this.pending.set(index, [...(this.pending.get(index) ?? []), request]);
        });
      actor.run(this.world, gate).then(
        () => this.end(index, { kind: "done" }),
        (cause) => this.end(index, { kind: "failed", code: codeOf(cause) }),
      );
    }
    await this.settle();
  }

  choices(): Choice[] {
    const { crashes = 0, lostAnswers = 0, maxPreemptions = Number.POSITIVE_INFINITY } = this.exploration;
    const choices: Choice[] = [];
    const mustGoOn = this.pending.has(this.current) && this.preemptions >= maxPreemptions;
    for (const [actor, [request]] of [...this.pending].sort(([left], [right]) => left - right)) {
      if (mustGoOn && actor !== this.current) continue;
      choices.push({ kind: "proceed", actor });
      if (this.crashes < crashes) choices.push({ kind: "crash", actor });
      if (this.lost < lostAnswers && request?.isWrite) choices.push({ kind: "lose-answer", actor });
    }
    return choices;
  }

  async take(choice: Choice): Promise<void> {
    this.path.push(choice);
    const isBounded = this.exploration.maxPreemptions !== undefined;
    if (isBounded && choice.actor !== this.current && this.pending.has(this.current)) this.preemptions++;
    this.current = choice.actor;
    const [request, ...others] = this.pending.get(choice.actor) as [Request, ...Request[]];
    if (others.length === 0 || choice.kind === "crash") this.pending.delete(choice.actor);
    else this.pending.set(choice.actor, others);
    const name = this.exploration.actors[choice.actor]?.name;
    this.trace.push(`${name}: ${choice.kind === "proceed" ? "" : `${choice.kind} at `}${request.text}`);
    if (choice.kind === "crash") {
      this.crashes++;
      this.end(choice.actor, { kind: "crashed" });
      return;
    }
    this.exploration.before?.(this.world, request.text);
    await this.perform(choice.actor, request, choice.kind === "lose-answer");
    await this.settle();
  }

  digest(): string {
    const hash = createHash("sha1");
    hash.update(this.world.digest());
    hash.update(`|${this.histories.join("|")}|${this.crashes}|${this.lost}|`);
    hash.update(
      [...this.outcomes]
        .map(([name, { kind }]) => `${name}=${kind}`)
        .sort()
        .join(),
    );
    if (this.exploration.maxPreemptions !== undefined && this.pending.has(this.current))
      hash.update(`|${this.current}`);
    return hash.digest("base64");
  }

  async check(): Promise<void> {
    try {
      this.exploration.check?.(this.world);
      if (this.pending.size === 0) await this.exploration.checkEnd?.(this.world, this.outcomes);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Violation(`${why}\n  ${this.trace.join("\n  ")}`, { cause });
    }
  }

  private async perform(actor: number, request: Request, loseAnswer: boolean): Promise<void> {
    let answer = "";
    try {
      const value = await request.perform();
      if (loseAnswer) {
        this.lost++;
        answer = "lost";
        request.reject(new HoldfastFailure("unavailable", "HoldfastAnswerLost", "the answer was lost"));
      } else {
        answer = this.exploration.summaryOf(value);
        request.resolve(value);
      }
    } catch (cause) {
      answer = codeOf(cause);
      request.reject(cause);
    }
    this.histories[actor] = createHash("sha1")
      .update(`${this.histories[actor]}${request.text}>${answer}`)
      .digest("base64");
  }

  private end(actor: number, outcome: Outcome): void {
    this.outcomes.set(this.exploration.actors[actor]?.name ?? "", outcome);
  }

  /** Until everybody waits at the gate or has ended. Nothing here waits for anything but the gate. */
  private async settle(): Promise<void> {
    const isSettled = () =>
      this.exploration.actors.every(({ name }, index) => this.pending.has(index) || this.outcomes.has(name));
    // One turn at least: who still waits for one answer may go on with another that has come.
    for (let turns = 0; turns === 0 || !isSettled(); turns++) {
      if (turns > 10_000) throw new Error("an actor waits for something else than a store");
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

function codeOf(cause: unknown): string {
  return cause instanceof HoldfastFailure
    ? cause.code
    : cause instanceof Error
      ? (cause.stack ?? cause.message)
      : String(cause);
}
