// What a command is, how its arguments are read, and how it explains itself. A mistake is answered with the way out: the
// nearest word that exists, or the line of usage. Nothing here knows what the commands do.

import { parseArgs } from "node:util";
import { HoldfastFailure } from "../src/base/failure.ts";
import type { Output } from "./output.ts";

export interface Option {
  readonly about: string;
  /** What stands behind the option, for the help; absent for a switch. */
  readonly value?: string;
  readonly isRepeatable?: boolean;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Operands in their order: `name`, `[name]` when it may be absent, `name...` when there may be several (last only). */
  readonly operands: readonly string[];
  readonly options: Readonly<Record<string, Option>>;
  readonly examples: readonly string[];
  readonly details?: string;
  /** Resolves to the exit code. */
  run(call: Call): Promise<number>;
}

export interface Call {
  readonly operands: readonly string[];
  readonly flags: Flags;
  readonly output: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborted when the user wants to stop. */
  readonly signal: AbortSignal;
}

type Value = string | boolean | readonly (string | boolean)[] | undefined;

export class Flags {
  private readonly values: Readonly<Record<string, Value>>;

  constructor(values: Readonly<Record<string, Value>>) {
    this.values = values;
  }

  /** The same flags, but for these. */
  with(values: Readonly<Record<string, Value>>): Flags {
    return new Flags({ ...this.values, ...values });
  }

  has(name: string): boolean {
    return this.values[name] !== undefined;
  }

  text(name: string): string | undefined {
    const value = this.values[name];
    return typeof value === "string" ? value : undefined;
  }

  list(name: string): readonly string[] {
    const value = this.values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  whole(name: string, otherwise: number): number {
    const text = this.text(name);
    if (text === undefined) return otherwise;
    if (!/^\d{1,15}$/.test(text)) throw usage(`--${name} takes a whole number, not "${text}"`);
    return Number(text);
  }

  /** A number of bytes: 4096, 512K, 64M, 2G, 1T. */
  bytes(name: string, otherwise: number): number {
    const text = this.text(name);
    if (text === undefined) return otherwise;
    const match = /^(\d{1,15})([KMGT])?(?:i?B)?$/i.exec(text);
    const bytes = Number(match?.[1]) * 1024 ** " KMGT".indexOf(match?.[2]?.toUpperCase() ?? " ");
    if (!Number.isSafeInteger(bytes)) throw usage(`--${name} takes a number of bytes such as 512K, not "${text}"`);
    return bytes;
  }

  oneOf<T extends string>(name: string, choices: readonly T[], otherwise: T): T {
    const text = this.text(name) ?? otherwise;
    const choice = choices.find((candidate) => candidate === text);
    if (choice !== undefined) return choice;
    throw usage(`--${name} is ${choices.join(" or ")}, not "${text}"`, nearest(text, choices));
  }
}

/** Operands and options as this command takes them; fails with the way out when they are others. */
export function readArguments(command: Command, args: readonly string[]) {
  const { values, positionals } = parse(command, args);
  const required = command.operands.filter((operand) => !operand.startsWith("["));
  const isOpenEnded = command.operands.some((operand) => operand.includes("..."));
  const missing = required[positionals.length];
  if (missing !== undefined && values.help === undefined) {
    throw usage(`${command.name} needs <${plain(missing)}>`, `Usage: ${usageOf(command)}`);
  }
  if (!isOpenEnded && positionals.length > command.operands.length) {
    const surplus = positionals[command.operands.length];
    throw usage(`${command.name} does not know what to do with "${surplus}"`, `Usage: ${usageOf(command)}`);
  }
  return { operands: positionals, flags: new Flags(values) };
}

function parse({ name, options }: Command, args: readonly string[]) {
  const config: Record<string, { type: "string" | "boolean"; multiple: boolean }> = {};
  for (const [option, { value, isRepeatable }] of Object.entries(options)) {
    config[option] = { type: value === undefined ? "boolean" : "string", multiple: isRepeatable ?? false };
  }
  try {
    return parseArgs({ args: [...args], options: config, allowPositionals: true, strict: true });
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    const unknown = /'--([^'\s=]+)'/.exec(cause.message)?.[1] ?? "";
    if ("code" in cause && cause.code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
      const known = nearest(unknown, Object.keys(options), "--");
      throw usage(`${name} has no option ${/'([^']+)'/.exec(cause.message)?.[1]}`, known);
    }
    throw usage(cause.message.split("\n")[0] ?? cause.message, `holdfast vault ${name} --help explains it.`);
  }
}

export function helpOf(command: Command, shared: Readonly<Record<string, Option>>): string[] {
  const own = Object.entries(command.options).filter(([name]) => !(name in shared));
  return [
    `Usage: ${usageOf(command)}`,
    "",
    command.summary,
    ...(command.details === undefined ? [] : ["", command.details]),
    ...(own.length === 0 ? [] : ["", "Options:", ...own.map(optionLine)]),
    "",
    "Options of every vault command:",
    ...Object.entries(shared).map(optionLine),
    "",
    "Examples:",
    ...command.examples.map((example) => `  holdfast vault ${example}`),
  ];
}

export function usageOf({ name, operands, options }: Command): string {
  const written = operands.map((operand) => {
    const inner = `<${plain(operand)}>${operand.includes("...") ? "..." : ""}`;
    return operand.startsWith("[") ? `[${inner}]` : inner;
  });
  return ["holdfast vault", name, ...written, ...(Object.keys(options).length > 0 ? ["[options]"] : [])].join(" ");
}

function optionLine([name, { value, about }]: [string, Option]): string {
  return `  ${`--${name}${value === undefined ? "" : ` <${value}>`}`.padEnd(30)} ${about}`;
}

function plain(operand: string): string {
  return operand.replace(/[[\].]/g, "");
}

export function usage(message: string, hint?: string): HoldfastFailure {
  return new HoldfastFailure("invalid", "HoldfastUsage", message, hint === undefined ? {} : { hint });
}

/** "Did you mean ...?", if a known word is near enough; else all of them, if they are few. */
export function nearest(word: string, known: readonly string[], prefix = ""): string | undefined {
  const ranked = known.map((candidate) => ({ candidate, distance: editDistance(word, candidate) }));
  ranked.sort((left, right) => left.distance - right.distance);
  const best = ranked[0];
  if (best && best.distance <= Math.max(1, Math.floor(word.length / 3))) {
    return `Did you mean ${prefix}${best.candidate}?`;
  }
  return known.length === 0 ? undefined : `There are: ${known.map((name) => `${prefix}${name}`).join(", ")}.`;
}

function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
