// Random orchestrations as data, and what a direct reading of them says: which outcomes are right, which events must be
// sent, and what every entity must hold in the end. fuzz-app.ts runs the same programs on the engine.

export type Task =
  | { readonly kind: "activity"; readonly key: string; readonly turns: number }
  | { readonly kind: "failing"; readonly key: string; readonly turns: number }
  | Retried
  | { readonly kind: "timer"; readonly key: string; readonly ms: number }
  | { readonly kind: "event"; readonly key: string }
  | { readonly kind: "child"; readonly key: string; readonly program: Program }
  | { readonly kind: "add"; readonly key: string; readonly entity: string; readonly amount: number }
  | { readonly kind: "http"; readonly key: string; readonly polls: number }
  | { readonly kind: "all" | "any"; readonly tasks: readonly Task[] };

/** Fails `failures` times before it succeeds, or always. */
export interface Retried {
  readonly kind: "retried" | "retried-child";
  readonly key: string;
  readonly failures: number | "always";
  readonly attempts: number;
  readonly delayMs: number;
  readonly backoff: number;
}

export type Step =
  | { readonly kind: "wait"; readonly task: Task; readonly cancelsTimers: boolean }
  /** Whichever is first, then each of them by itself. */
  | { readonly kind: "race"; readonly tasks: readonly [Task, Task] }
  /** The next of the numbered words that are sent to the instance. */
  | { readonly kind: "listen"; readonly word: number }
  | { readonly kind: "signal"; readonly entity: string; readonly amount: number }
  | { readonly kind: "section"; readonly entities: readonly string[]; readonly amount: number; readonly inside: Task };

export interface Program {
  /** Set for those that can be sent events. */
  readonly id?: string;
  readonly generations: readonly (readonly Step[])[];
  /** Thrown at the end. */
  readonly throws?: string;
}

export type Outcome = { readonly ok: unknown } | { readonly error: string };

export interface SentEvent {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
}

export const ENTITIES = ["a", "b", "c"] as const;

export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class ProgramMaker {
  readonly #chance: () => number;
  readonly #prefix: string;
  readonly #addsNothing: boolean;
  #keys = 0;

  /** With `addsNothing` all amounts are 0, so that it does not matter how far a program gets. */
  constructor(chance: () => number, prefix: string, addsNothing = false) {
    this.#chance = chance;
    this.#prefix = prefix;
    this.#addsNothing = addsNothing;
  }

  program(depth: number, canListen: boolean): Program {
    const generations: Step[][] = [];
    const words = { next: 0 };
    for (let left = this.#pick([1, 1, 1, 2, 3]); left > 0; left--) {
      const steps: Step[] = [];
      for (let count = 1 + this.#below(depth + 2); count > 0; count--) steps.push(this.#step(depth, canListen, words));
      generations.push(steps);
    }
    return {
      generations,
      ...(canListen && { id: this.#key() }),
      ...(this.#chance() < 0.15 && { throws: this.#key() }),
    };
  }

  #step(depth: number, canListen: boolean, words: { next: number }): Step {
    const dice = this.#chance();
    if (dice < 0.12 && canListen) return { kind: "listen", word: words.next++ };
    if (dice < 0.2) return { kind: "signal", entity: this.#pick(ENTITIES), amount: this.#amount() };
    if (dice < 0.28) return this.#section();
    if (dice < 0.42) return { kind: "race", tasks: [this.#task(depth, false), this.#task(depth, false)] };
    return { kind: "wait", task: this.#task(depth, canListen), cancelsTimers: this.#chance() < 0.7 };
  }

  #section(): Step {
    const entities = ENTITIES.filter(() => this.#chance() < 0.5);
    const inside = this.#chance() < 0.5 ? this.#timer() : this.#activity();
    return { kind: "section", entities: entities.length > 0 ? entities : ["b"], amount: this.#amount(), inside };
  }

  /** Waiting twice for one event confuses the library, so a race does without events. */
  #task(depth: number, canListen: boolean): Task {
    const dice = this.#chance();
    if (depth > 0 && dice < 0.32) return this.#compound(depth, canListen);
    if (depth > 0 && dice < 0.44) return this.#child(depth);
    if (dice < 0.52) return this.#timer();
    if (dice < 0.6 && canListen) return { kind: "event", key: this.#key() };
    if (dice < 0.67) return { kind: "add", key: this.#key(), entity: this.#pick(ENTITIES), amount: this.#amount() };
    if (dice < 0.71) return { kind: "http", key: this.#key(), polls: this.#below(4) };
    if (dice < 0.83) return this.#retried();
    if (dice < 0.88) return { kind: "failing", key: this.#key(), turns: this.#below(6) };
    return this.#activity();
  }

  #compound(depth: number, canListen: boolean): Task {
    const tasks: Task[] = [];
    const width = this.#chance() < 0.1 ? 20 : 1 + this.#below(5);
    for (let count = width; count > 0; count--) tasks.push(this.#task(width > 5 ? 0 : depth - 1, canListen));
    return { kind: this.#chance() < 0.5 ? "all" : "any", tasks };
  }

  #child(depth: number): Task {
    return { kind: "child", key: this.#key(), program: this.program(depth - 1, this.#chance() < 0.5) };
  }

  #retried(): Retried {
    const attempts = 1 + this.#below(4);
    return {
      kind: this.#chance() < 0.75 ? "retried" : "retried-child",
      key: this.#key(),
      failures: this.#chance() < 0.3 ? "always" : this.#below(attempts),
      attempts,
      delayMs: 1 + this.#below(3000),
      backoff: this.#pick([1, 1.5, 2]),
    };
  }

  #timer(): Task {
    return { kind: "timer", key: this.#key(), ms: this.#below(5000) - 200 };
  }

  #activity(): Task {
    return { kind: "activity", key: this.#key(), turns: this.#below(6) };
  }

  #amount(): number {
    return this.#addsNothing ? 0 : 1 + this.#below(9);
  }

  #key(): string {
    return `${this.#prefix}-${this.#keys++}`;
  }

  #below(limit: number): number {
    return Math.floor(this.#chance() * limit);
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)] as T;
  }
}

/** Says what is wrong with the outcome of a program, or nothing. */
export function findWrong(program: Program, outcome: Outcome): string | undefined {
  if (program.throws !== undefined) {
    return isError(outcome, program.throws) ? undefined : `${program.throws} was not thrown: ${show(outcome)}`;
  }
  if (!("ok" in outcome)) return `it failed: ${outcome.error}`;
  const outcomes = outcome.ok as readonly Outcome[];
  const steps = program.generations.flat();
  if (outcomes.length !== steps.length) return `${outcomes.length} outcomes of ${steps.length} steps`;
  for (const [index, step] of steps.entries()) {
    const given = outcomes[index] as Outcome;
    if (!isRightStep(step, given)) return `step ${index}: ${show(given)} of ${show(step)}`;
  }
  return undefined;
}

function isRightStep(step: Step, outcome: Outcome): boolean {
  switch (step.kind) {
    case "wait":
      return isRight(step.task, outcome);
    case "race": {
      if (!("ok" in outcome)) return false;
      const { first, each } = outcome.ok as { first: Outcome; each: readonly Outcome[] };
      const areRight = step.tasks.every((task, index) => isRight(task, each[index] as Outcome));
      return areRight && isRight({ kind: "any", tasks: step.tasks }, first);
    }
    case "listen":
      return isValue(outcome, step.word);
    case "signal":
      return isValue(outcome, null);
    case "section": {
      if (!("ok" in outcome)) return false;
      const { before, after, inside } = outcome.ok as { before: number[]; after: number[]; inside: Outcome };
      const isExclusive = step.entities.every((_, index) => before[index] === (after[index] ?? NaN) - step.amount);
      return isExclusive && isRight(step.inside, inside);
    }
  }
}

function isRight(task: Task, outcome: Outcome): boolean {
  switch (task.kind) {
    case "activity":
    case "event":
    case "http":
      return isValue(outcome, task.key);
    case "timer":
    case "add":
      return isValue(outcome, null);
    case "failing":
      return isError(outcome, task.key);
    case "retried":
    case "retried-child":
      return task.failures === "always" ? isError(outcome, task.key) : isValue(outcome, task.key);
    case "child":
      return findWrong(task.program, outcome) === undefined;
    case "any": {
      if (!("ok" in outcome)) return false;
      const { winner, gave } = outcome.ok as { winner: number; gave: Outcome };
      const won = task.tasks[winner];
      return won !== undefined && isRight(won, gave);
    }
    case "all": {
      const errors = task.tasks.flatMap(errorsOf);
      if (errors.length > 0) return errors.some((error) => isError(outcome, error));
      if (!("ok" in outcome)) return false;
      const values = outcome.ok as readonly unknown[];
      const isComplete = values.length === task.tasks.length;
      return isComplete && task.tasks.every((child, index) => isRight(child, { ok: values[index] }));
    }
  }
}

/** What a task may fail with; those that can fail always do. */
function errorsOf(task: Task): string[] {
  switch (task.kind) {
    case "failing":
      return [task.key];
    case "retried":
    case "retried-child":
      return task.failures === "always" ? [task.key] : [];
    case "child":
      return task.program.throws === undefined ? [] : [task.program.throws];
    case "all":
      return task.tasks.flatMap(errorsOf);
    default:
      return [];
  }
}

/** In the order in which the words of one instance must be sent. */
export function eventsOf(program: Program): SentEvent[] {
  const { id } = program;
  return program.generations.flat().flatMap((step): SentEvent[] => {
    if (step.kind === "listen" && id !== undefined) return [{ id, name: "word", input: step.word }];
    return tasksOf(step).flatMap((task): SentEvent[] => {
      if (task.kind === "child") return eventsOf(task.program);
      return task.kind === "event" && id !== undefined ? [{ id, name: task.key, input: task.key }] : [];
    });
  });
}

/** What the whole program adds to each entity, losers of races included. */
export function addTotals(program: Program, totals: Map<string, number>): void {
  const add = (entity: string, amount: number): void => {
    totals.set(entity, (totals.get(entity) ?? 0) + amount);
  };
  for (const step of program.generations.flat()) {
    if (step.kind === "signal") add(step.entity, step.amount);
    if (step.kind === "section") for (const entity of step.entities) add(entity, step.amount);
    for (const task of tasksOf(step)) {
      if (task.kind === "add") add(task.entity, task.amount);
      if (task.kind === "child") addTotals(task.program, totals);
    }
  }
}

function tasksOf(step: Step): Task[] {
  const leaves = (task: Task): Task[] => ("tasks" in task ? task.tasks.flatMap(leaves) : [task]);
  if (step.kind === "wait") return leaves(step.task);
  if (step.kind === "race") return step.tasks.flatMap(leaves);
  return step.kind === "section" ? leaves(step.inside) : [];
}

const isValue = (outcome: Outcome, value: unknown): boolean => "ok" in outcome && outcome.ok === value;
const isError = (outcome: Outcome, key: string): boolean => "error" in outcome && outcome.error === key;
const show = (value: unknown): string => JSON.stringify(value).slice(0, 2000);
