#!/usr/bin/env node
// Starts the `holdfast` command on a Node that strips types. Plain JavaScript, because the Node that reads this may be
// too old for anything else; the one among the project's packages then takes over.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { fileURLToPath } from "node:url";

const OLDEST_NODE = 24;

if (Number.parseInt(process.versions.node, 10) >= OLDEST_NODE) {
  // What was compiled once is not compiled again: half of the time until a command begins.
  module.enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/compiled", import.meta.url)));
  const { runProcess } = await import("./main.ts");
  await runProcess();
} else {
  const executable = process.platform === "win32" ? "node.exe" : "node";
  const node = fileURLToPath(new URL(`../node_modules/node/bin/${executable}`, import.meta.url));
  if (!existsSync(node)) {
    process.stderr.write(`holdfast needs Node ${OLDEST_NODE} or newer; this is ${process.versions.node}.\n`);
    process.exit(70);
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends Ctrl-C to both processes; the other signal comes to this one alone.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("exit", (code) => process.exit(code ?? 70));
}
