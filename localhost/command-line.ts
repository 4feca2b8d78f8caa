// What the commands of this folder have in common: flags read strictly, mistakes answered with one clear sentence and a
// way out, and an exit code for each kind of end.

import { type ParseArgsConfig, parseArgs } from "node:util";
import { HoldfastFailure } from "../src/base/failure.ts";

/** For the --help of each command. */
export const EXIT_CODES =
  "0 stopped, 1 the app or the host failed, 2 the command line is wrong, 3 the data folder is in use";

type Flags = NonNullable<ParseArgsConfig["options"]>;

export function readFlags<T extends Flags>(options: T): ReturnType<typeof parseArgs<{ options: T }>>["values"] {
  try {
    return parseArgs({ options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw badArguments(whatIsWrong((error as Error).message, Object.keys(options)));
  }
}

/** The first sentence of Node's message; the others explain `parseArgs` to programmers. */
function whatIsWrong(message: string, known: readonly string[]): string {
  const [sentence = message] = message.split(/\.\s|\n/);
  const flag = /^Unknown option '--([^']+)'/.exec(message)?.[1];
  const meant = flag && known.find((name) => distance(name, flag) <= 2);
  return meant ? `${sentence}. Did you mean --${meant}?` : `${sentence}.`;
}

/** How many letters must be added, left out or changed to make one word of the other. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...one].entries()) {
    const next = [index + 1];
    for (const [column, otherLetter] of [...other].entries()) {
      const above = row[column + 1] ?? 0;
      const left = next[column] ?? 0;
      const diagonal = row[column] ?? 0;
      next.push(Math.min(above + 1, left + 1, diagonal + (letter === otherLetter ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

export function wholeNumber(flag: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= most) return value;
  throw badArguments(`--${flag} takes a whole number from 0 to ${most}, not '${text}'.`);
}

function badArguments(message: string): HoldfastFailure {
  return new HoldfastFailure("invalid", "BadArguments", message, { hint: "See --help." });
}

/** Runs a command; a failure it throws becomes words on stderr and an exit code, a bug keeps its stack. */
export async function runCommand(command: () => Promise<void>): Promise<void> {
  try {
    await command();
  } catch (error) {
    if (!(error instanceof HoldfastFailure)) throw error;
    process.stderr.write(`${error.message}\n${error.hint === undefined ? "" : `${error.hint}\n`}`);
    process.exitCode = error.code === "BadArguments" ? 2 : error.code === "HubLocked" ? 3 : 1;
  }
}
