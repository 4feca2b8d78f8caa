// What is said when the host is ready: everything it serves, and where. For machines the same as one JSON line.

import { type LineOutput, standardOutput } from "./console-log.ts";
import type { FunctionKind } from "./function-entry.ts";
import type { FunctionHost } from "./function-host.ts";

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

export function printBanner(host: FunctionHost, options: BannerOptions): void {
  const output = options.output ?? standardOutput();
  output.write(options.json ? readyLine(host) : readyText(host, options, output.hasColors));
}

function readyLine(host: FunctionHost): string {
  const { url, port, functions, routes, timers } = host;
  return JSON.stringify({
    time: new Date().toISOString(),
    level: "information",
    category: "Host",
    message: `Ready at ${url}`,
    event: "ready",
    url,
    port,
    functions: functions.entries.map(({ name, kind }) => ({ name, kind })),
    routes: routes.map(({ entry, methods, url }) => ({ name: entry.name, methods: methods ?? ["*"], url })),
    timers: timers.views.map(({ name, schedule, nextMs }) => ({
      name,
      schedule,
      next: new Date(nextMs).toISOString(),
    })),
    refused: functions.refused,
  });
}

function readyText(host: FunctionHost, { appFolder, dataFolder }: BannerOptions, hasColors: boolean): string {
  const bold = (text: string): string => (hasColors ? `\x1b[1m${text}\x1b[0m` : text);
  const lines = [`App   ${appFolder}`, `Data  ${dataFolder}`];
  const add = (title: string, rows: readonly string[]): void => {
    if (rows.length > 0) lines.push("", bold(title), ...rows.map((row) => `  ${row}`));
  };
  add("HTTP", columns(host.routes.map(({ entry, methods, url }) => [entry.name, methods?.join(",") ?? "any", url])));
  add("Timers", columns(host.timers.views.map(({ name, schedule, nextMs }) => [name, schedule, nextText(nextMs)])));
  for (const [kind, title] of DURABLE_GROUPS) {
    const names = host.functions.entries.filter((entry) => entry.kind === kind).map(({ name }) => name);
    add(title, names.length === 0 ? [] : wrap(names));
  }
  if (host.functions.entries.length === 0) lines.push("", "The app registered no functions.");
  lines.push("", `${bold(`Ready at ${host.url}`)} (Ctrl-C stops)`, "");
  return lines.join("\n");
}

function nextText(nextMs: number): string {
  const next = new Date(nextMs);
  return next.getUTCFullYear() >= 9999 ? "never due" : `next ${next.toLocaleString("sv-SE")}`;
}

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
