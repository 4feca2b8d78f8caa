// The `holdfast` command in this process: the same code as the program's, without the half second that a process takes.
// What signals, streams and process identities do is for holdfast-process.ts.

import { expect } from "vitest";
import { main } from "../../cli/main.ts";

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export async function runCommand(
  args: readonly string[],
  environment: Environment = {},
  signal?: AbortSignal,
): Promise<Answer> {
  const printed: string[] = [];
  const complaints: string[] = [];
  const output = {
    print: (line: string) => printed.push(line),
    complain: (line: string) => complaints.push(line),
    isTerminal: false,
  };
  const code = await main(["vault", ...args], environment, output, signal);
  return { code, stdout: printed.join("\n"), stderr: complaints.join("\n") };
}

/** It worked, and had nothing to complain of: on a slow machine it may tell how far it is. */
export async function mustRun(args: readonly string[], environment?: Environment): Promise<string> {
  const answer = await runCommand(args, environment);
  expect(answer, args.join(" ")).toMatchObject({
    code: 0,
    stderr: expect.not.stringContaining("holdfast: "),
  });
  return answer.stdout;
}
