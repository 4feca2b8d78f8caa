// The `holdfast` command. Reads arguments, finds the command, and turns failures into messages and exit codes.

import { parseArgs } from "node:util";
import { HoldfastFailure, messageOf } from "../src/base/failure.ts";
import { EXIT_CODES, type Output, printFailure, standardOutput } from "./output.ts";
import { vaultCommands } from "./vault-commands.ts";

const options = {
  json: { type: "boolean" },
  force: { type: "boolean" },
  "dry-run": { type: "boolean" },
  record: { type: "boolean" },
  release: { type: "boolean" },
  structure: { type: "boolean" },
  "no-encryption": { type: "boolean" },
  "zeros-for-unreadable": { type: "boolean" },
  "connection-string": { type: "string" },
  "key-file": { type: "string", multiple: true },
  tag: { type: "string", multiple: true },
  name: { type: "string" },
  reason: { type: "string" },
  changed: { type: "string" },
  part: { type: "string" },
  format: { type: "string" },
  disk: { type: "string" },
  "chunk-kib": { type: "string" },
} as const;

export async function main(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  output: Output = standardOutput,
): Promise<number> {
  try {
    const { values, positionals } = parse(args);
    const [group, name, ...rest] = positionals;
    const command = name === undefined ? undefined : vaultCommands[name];
    if (group !== "vault" || command === undefined) return help(output);
    return await command.run({
      positionals: rest,
      flags: values,
      output,
      connectionString: values["connection-string"] ?? environment.AZURE_STORAGE_CONNECTION_STRING,
      keyFiles: values["key-file"] ?? (environment.HOLDFAST_KEY_FILE ? [environment.HOLDFAST_KEY_FILE] : []),
    });
  } catch (cause) {
    return printFailure(output, cause);
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new HoldfastFailure("invalid", "HoldfastUsage", messageOf(cause));
  }
}

function help(output: Output): number {
  output.complain("holdfast vault <command> <vault> ...");
  for (const [name, { usage }] of Object.entries(vaultCommands)) output.complain(`  ${name.padEnd(16)} ${usage}`);
  output.complain("A vault is a folder, a container URL ending in /v-<name>, or a name with --connection-string.");
  output.complain(
    "Keys: --key-file <file>, or HOLDFAST_KEY_FILE. Exit codes: 0 good, 1 findings, 2 usage, 3 not found,",
  );
  output.complain("4 denied, 5 conflict, 6 corrupt, 7 unavailable, 70 a bug.");
  return EXIT_CODES.invalid;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2), process.env);
