// Whether a stack runs over a data folder, and where: what other commands on this machine need to use it.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastFailure } from "../src/base/failure.ts";
import { acquireHubLock } from "./task-hub/journal/hub-lock.ts";

export interface StackPlace {
  readonly apiUrl: string;
  readonly azureUrl: string;
  readonly tenantId: string;
}

/** Locked by the process that runs the stack. */
export function localFolder(dataFolder: string): string {
  return join(dataFolder, "local");
}

/** Written when the stack is ready; it stays there when that ends. */
export function stackFile(dataFolder: string): string {
  return join(localFolder(dataFolder), "stack.json");
}

export async function findStack(dataFolder: string): Promise<StackPlace | undefined> {
  if (!existsSync(stackFile(dataFolder)) || !(await isLocked(localFolder(dataFolder)))) return undefined;
  return JSON.parse(await readFile(stackFile(dataFolder), "utf8")) as StackPlace;
}

async function isLocked(folder: string): Promise<boolean> {
  try {
    await (await acquireHubLock(folder)).release();
    return false;
  } catch (cause) {
    if (cause instanceof HoldfastFailure && cause.code === "HubLocked") return true;
    throw cause;
  }
}
