// The `holdfast` command: finds the command that is meant, reads its arguments, and turns failures into messages and exit
// codes. The first Ctrl-C stops in an orderly way, a second one at once; a vault survives both.

import { HoldfastFailure, messageOf } from "../src/base/failure.ts";
import { type Command, helpOf, nearest, readArguments, usage, usageOf } from "./command-line.ts";
import { limitHeap } from "./heap-limits.ts";
import { EXIT_CODES, EXIT_READER_GONE, type Output, printFailure, standardOutput } from "./output.ts";
import { SHARED_OPTIONS, vaultCommands } from "./vault/commands.ts";

export async function main(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  output: Output = standardOutput,
  signal: AbortSignal = new AbortController().signal,
): Promise<number> {
  try {
    const [group, name, ...rest] = args;
    if (group === undefined || group === "--help" || group === "help") return overview(output, group !== undefined);
    if (group !== "vault") throw usage(`There is no command "${group}"`, nearest(group, ["vault"]));
    if (name === undefined || name === "--help" || name === "help") return overview(output, name !== undefined);
    const command = commandNamed(name);
    const { operands, flags } = readArguments(command, rest);
    if (flags.has("help")) return print(output, helpOf(command, SHARED_OPTIONS));
    return await command.run({ operands, flags, output, environment, signal }).catch((cause) => {
      throw withWayOut(command, cause);
    });
  } catch (cause) {
    return printFailure(output, cause, args.includes("--json"));
  }
}

/** Whoever wrote what makes no sense sees at least how it is written. */
function withWayOut(command: Command, cause: unknown): unknown {
  if (!(cause instanceof HoldfastFailure) || cause.kind !== "invalid" || cause.hint !== undefined) return cause;
  return new HoldfastFailure(cause.kind, cause.code, cause.message, { hint: `Usage: ${usageOf(command)}`, cause });
}

function commandNamed(name: string): Command {
  const command = vaultCommands.find((candidate) => candidate.name === name);
  if (command) return command;
  const names = vaultCommands.map((candidate) => candidate.name);
  throw usage(`There is no command "vault ${name}"`, nearest(name, names));
}

/** Asked for, it is the answer; unasked, it is a complaint. */
function overview(output: Output, isAskedFor: boolean): number {
  const lines = [
    "Usage: holdfast vault <command> <vault> ... [options]",
    "",
    "Backup and restore of disks straight from a vault, without any service.",
    "",
    ...vaultCommands.map(({ name, summary }) => `  ${name.padEnd(16)} ${summary}`),
    "",
    "A vault is a folder, a container URL that ends in /v-<name>, or a name with --connection-string.",
    "holdfast vault <command> --help explains each command, with examples.",
  ];
  if (isAskedFor) return print(output, lines);
  for (const line of lines) output.complain(line);
  return EXIT_CODES.invalid;
}

function print(output: Output, lines: readonly string[]): number {
  for (const line of lines) output.print(line);
  return 0;
}

/** This process as the command. */
export async function runProcess(): Promise<void> {
  limitHeap();
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(EXIT_CODES.cancelled);
      stop.abort();
    });
  }
  let outputFailure: NodeJS.ErrnoException | undefined;
  process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
    outputFailure ??= cause;
    stop.abort();
  });
  // What goes wrong because nobody takes the output is not worth a word.
  const complain = (line: string) => outputFailure === undefined && standardOutput.complain(line);
  const exitCode = await main(process.argv.slice(2), process.env, { ...standardOutput, complain }, stop.signal);
  process.exitCode = outputFailure === undefined ? exitCode : exitCodeOf(outputFailure);
}

/** A reader that has seen enough (`| head`) is nothing to talk about. */
function exitCodeOf(outputFailure: NodeJS.ErrnoException): number {
  if (outputFailure.code === "EPIPE") return EXIT_READER_GONE;
  standardOutput.complain(`holdfast: standard output: ${messageOf(outputFailure)}`);
  return EXIT_CODES.unavailable;
}

if (import.meta.main) await runProcess();
