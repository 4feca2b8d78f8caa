// A stack for one command: on any free ports, in a folder of its own, without the vault "demo", and gone with the command.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { HoldfastFailure } from "../src/base/failure.ts";
import type { StackPlace } from "./found-stack.ts";

export interface OwnStack {
  readonly place: StackPlace;
  stop(): Promise<void>;
}

export async function startOwnStack(): Promise<OwnStack> {
  const dataFolder = await mkdtemp(join(tmpdir(), "holdfast-demo-"));
  const args = ["--port", "0", "--data", dataFolder, "--no-demo", "--json", "--with-parent"];
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    await rm(dataFolder, { recursive: true, force: true });
  };
  try {
    return { place: await readyPlace(child), stop };
  } catch (cause) {
    await stop();
    throw cause;
  }
}

function readyPlace(child: ChildProcess): Promise<StackPlace> {
  return new Promise((resolve, reject) => {
    let complaints = "";
    child.stderr?.on("data", (text: Buffer) => {
      complaints += text.toString();
    });
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      const { event, url, azureUrl, tenantId } = JSON.parse(line) as Record<string, string>;
      if (event === "ready") resolve({ apiUrl: url ?? "", azureUrl: azureUrl ?? "", tenantId: tenantId ?? "" });
    });
    child.once("exit", () => reject(new HoldfastFailure("unavailable", "StackFailed", complaints.trim())));
  });
}
