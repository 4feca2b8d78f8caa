// The memory of timers: one small JSON file for each function, written so that a crash leaves the old or the new one.
// A file that cannot be read is as good as none: the timer starts afresh, and the log says so.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../../src/base/failure.ts";
import { createFolder, replaceFile } from "../../task-hub/journal/durable-files.ts";
import type { HostLog } from "../host-log.ts";
import { parseStatus, renderStatus, type TimerStatus } from "./timer-status.ts";

export class TimerMonitor {
  readonly #folder: string;
  readonly #log: HostLog;

  constructor(folder: string, log: HostLog) {
    this.#folder = folder;
    this.#log = log;
  }

  load(functionName: string): TimerStatus | undefined {
    const path = join(this.#folder, fileNameOf(functionName));
    if (!existsSync(path)) return undefined;
    try {
      const status = parseStatus(JSON.parse(readFileSync(path, "utf8")));
      if (status !== undefined) return status;
      this.#warn(functionName, `${path} holds no timer status; the timer starts afresh.`);
    } catch (error) {
      this.#warn(functionName, `${path} cannot be read (${messageOf(error)}); the timer starts afresh.`);
    }
    return undefined;
  }

  /** A timer that cannot remember still runs: the next start may miss a run or repeat one. */
  async save(functionName: string, status: TimerStatus): Promise<void> {
    try {
      await createFolder(this.#folder);
      await replaceFile(this.#folder, fileNameOf(functionName), JSON.stringify(renderStatus(status)));
    } catch (error) {
      this.#warn(functionName, `The timer's status could not be stored: ${messageOf(error)}`);
    }
  }

  #warn(functionName: string, message: string): void {
    this.#log.write("warning", `Function.${functionName}`, message);
  }
}

/** Functions are told apart without regard to case. */
function fileNameOf(functionName: string): string {
  return `${functionName.toLowerCase()}.json`;
}
