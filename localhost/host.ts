// `node localhost/host.ts`: the embedded Functions host for any app of the Node v4 model, from the command line.
// Words and exit codes for people live here; what the host does lives in functions-host/.

import { parseArgs } from "node:util";
import { HoldfastFailure } from "../src/base/failure.ts";
import { runHost } from "./run-host.ts";

const HELP = `Runs an Azure Functions app (Node.js programming model v4) with its own Durable Task engine.

Usage: node localhost/host.ts --app <folder> [options]

  --app <folder>       The folder with the app's package.json and host.json (default: the current folder)
  --entry <file>       Load this file or glob instead of package.json's "main"; TypeScript is fine
  --port <n>           Listen on 127.0.0.1:<n> (default: Host.LocalHttpPort of local.settings.json, else 7071; 0: any)
  --data <folder>      Keep all state here (default: <app>/.holdfast-host)
  --keep-days <n>      Purge orchestrations that ended this many days ago (default: 30; 0 keeps them)
  --cors <origins>     Let web pages of these origins call the functions, comma-separated
  --enable-auth        Enforce authLevel with the keys in <data>/keys.json
  --json               One JSON object a line instead of text
  --verbose            Everything the host and the app say, whatever host.json allows
  --help               This text

Ctrl-C stops: running functions get a few seconds, orchestrations go on at the next start. Twice: now.
Exit codes: 0 stopped, 1 the app or the host failed, 2 the command line is wrong, 3 the data folder is in use.
`;

const OPTIONS = {
  app: { type: "string" },
  entry: { type: "string" },
  port: { type: "string" },
  data: { type: "string" },
  "keep-days": { type: "string" },
  cors: { type: "string" },
  "enable-auth": { type: "boolean" },
  json: { type: "boolean" },
  verbose: { type: "boolean" },
  // For the project's own tests: compares the durable library's ids with the engine's at every step.
  "check-ids": { type: "boolean" },
  help: { type: "boolean" },
} as const;

function readArguments(): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"] {
  try {
    return parseArgs({ options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new HoldfastFailure("invalid", "BadArguments", (error as Error).message, { hint: "See --help." });
  }
}

function wholeNumber(name: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= most) return value;
  throw new HoldfastFailure(
    "invalid",
    "BadArguments",
    `--${name} takes a whole number from 0 to ${most}, not '${text}'.`,
    {
      hint: "See --help.",
    },
  );
}

try {
  const values = readArguments();
  if (values.help) {
    process.stdout.write(HELP);
  } else {
    const folder = values.app ?? ".";
    await runHost({
      app: values.entry === undefined ? { folder } : { folder, entry: values.entry },
      port: wholeNumber("port", values.port, 65_535),
      dataFolder: values.data ?? `${folder}/.holdfast-host`,
      keepFinishedDays: wholeNumber("keep-days", values["keep-days"], 36_500),
      cors: values.cors === undefined ? undefined : { origins: values.cors.split(","), credentials: false },
      enforcesKeys: values["enable-auth"] ?? false,
      checksSequence: values["check-ids"] ?? false,
      json: values.json ?? false,
      verbose: values.verbose ?? false,
    });
  }
} catch (error) {
  if (!(error instanceof HoldfastFailure)) throw error;
  process.stderr.write(`${error.message}\n${error.hint === undefined ? "" : `${error.hint}\n`}`);
  process.exitCode = error.code === "BadArguments" ? 2 : error.code === "HubLocked" ? 3 : 1;
}
