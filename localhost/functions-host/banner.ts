// What is said when the host is ready: everything it serves and where, what it does not serve and why. For machines the
// same as one JSON line, whose "event" is "ready".

import { DURABLE_API_PATH } from "../task-hub/hub-api.ts";
import { type LineOutput, standardOutput } from "./console-log.ts";
import type { FunctionKind } from "./function-entry.ts";
import type { FunctionHost } from "./function-host.ts";
import { NEVER_MS } from "./timers/schedule.ts";

/** Of the host, what the banner tells of. */
export type ReadyHost = Pick<FunctionHost, "url" | "port" | "functions" | "routes" | "timers" | "refused">;

export interface BannerOptions {
  readonly json: boolean;
  readonly appFolder: string;
  readonly dataFolder: string;
  readonly output?: LineOutput;
}

const DURABLE_GROUPS: readonly (readonly [FunctionKind, string])[] = [
  ["orchestration", "Orchestrations"],
  ["activity", "Activities"],
  ["entity", "Entities"],
];

export function printBanner(host: ReadyHost, options: BannerOptions): void {
  const output = options.output ?? standardOutput();
  output.write(options.json ? readyLine(host, options) : readyText(host, options, output.hasColors));
}

function readyLine(host: ReadyHost, options: BannerOptions): string {
  return JSON.stringify(readyFacts(host, options));
}

/** What machines are told; whoever starts more than the host adds to it. */
export function readyFacts(host: ReadyHost, { dataFolder }: Pick<BannerOptions, "dataFolder">): object {
  const { url, port, functions, routes, timers, refused } = host;
  return {
    time: new Date().toISOString(),
    level: "information",
    category: "Host",
    message: `Ready at ${url}`,
    event: "ready",
    url,
    port,
    managementUrl: managementUrl(host),
    dataFolder,
    functions: functions.entries.map(({ name, kind }) => ({ name, kind })),
    routes: routes.map(({ entry, methods, url }) => ({ name: entry.name, methods: methods ?? ["*"], url })),
    timers: timers.views.map(({ name, schedule, nextMs }) => ({
      name,
      schedule,
      next: nextMs >= NEVER_MS ? null : new Date(nextMs).toISOString(),
    })),
    refused,
  };
}

function readyText(host: ReadyHost, { appFolder, dataFolder }: BannerOptions, hasColors: boolean): string {
  const paint = (code: string, text: string): string => (hasColors ? `\x1b[${code}m${text}\x1b[0m` : text);
  const bold = (text: string): string => paint("1", text);
  const lines = [`App   ${appFolder}`, `Data  ${dataFolder}`];
  const add = (title: string, rows: readonly string[]): void => {
    if (rows.length > 0) lines.push("", title, ...rows.map((row) => `  ${row}`));
  };
  const { functions, routes, timers, refused } = host;
  add(bold("HTTP"), columns(routes.map(({ entry, methods, url }) => [entry.name, methods?.join(",") ?? "any", url])));
  add(bold("Timers"), columns(timers.views.map(({ name, schedule, nextMs }) => [name, schedule, nextText(nextMs)])));
  for (const [kind, title] of DURABLE_GROUPS) {
    const names = functions.entries.filter((entry) => entry.kind === kind).map(({ name }) => name);
    add(bold(title), names.length === 0 ? [] : wrap(names));
  }
  add(paint("31;1", "Not served"), columns(refused.map(({ name, reason }) => [name, reason])));
  if (functions.entries.length + refused.length === 0) lines.push("", "The app registered no functions.");
  const management = managementUrl(host);
  if (management !== undefined) lines.push("", `Durable management API at ${management}`);
  lines.push("", `${bold(`Ready at ${host.url}`)} (Ctrl-C stops)`, "");
  return lines.join("\n");
}

function managementUrl({ url, functions }: ReadyHost): string | undefined {
  const isDurable = functions.entries.some(({ kind }) => kind === "orchestration" || kind === "entity");
  return isDurable ? url + DURABLE_API_PATH.replace(/\/$/, "") : undefined;
}

function nextText(nextMs: number): string {
  if (nextMs >= NEVER_MS) return "never due";
  return `next ${new Date(nextMs).toLocaleString("sv-SE")} (${waitText(nextMs - Date.now())})`;
}

function waitText(waitMs: number): string {
  const minutes = Math.round(waitMs / 60_000);
  if (minutes < 2) return `in ${Math.max(0, Math.round(waitMs / 1000))} s`;
  if (minutes < 120) return `in ${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `in ${hours} h` : `in ${Math.round(hours / 24)} days`;
}

/** The last column is as wide as it likes. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

const MOST_COLUMNS = 100;

function wrap(names: readonly string[]): string[] {
  const lines: string[] = [];
  let line = "";
  for (const name of names) {
    if (line !== "" && line.length + name.length + 2 > MOST_COLUMNS) {
      lines.push(`${line},`);
      line = "";
    }
    line = line === "" ? name : `${line}, ${name}`;
  }
  return [...lines, line];
}
