// What the cores of this machine do for a backup, one alone and two at once: two share caches, memory and clock, so the
// second is worth less than the first.

import { once } from "node:events";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { refuseIfStopped } from "../interruption.ts";
import { CORE_WORK, type CoreRates, type CoreTask } from "./core-worker.ts";

export interface CoreSpeed {
  readonly cores: number;
  readonly oneCore: CoreRates;
  /** Of both together; absent where there is one alone. */
  readonly twoCores?: CoreRates;
}

export async function measureCores(task: Omit<CoreTask, "eachMs">, budgetMs: number, signal: AbortSignal) {
  const cores = availableParallelism();
  const rounds = cores > 1 ? 2 : 1;
  const eachMs = budgetMs / rounds / CORE_WORK.length;
  const oneCore = await measureAtOnce(1, { ...task, eachMs }, signal);
  if (cores === 1) return { cores, oneCore };
  return { cores, oneCore, twoCores: await measureAtOnce(2, { ...task, eachMs }, signal) };
}

async function measureAtOnce(count: number, task: CoreTask, signal: AbortSignal): Promise<CoreRates> {
  refuseIfStopped(signal);
  const workers = Array.from(
    { length: count },
    () => new Worker(new URL("./core-worker.ts", import.meta.url), { workerData: task }),
  );
  const end = () => workers.map((worker) => worker.terminate());
  signal.addEventListener("abort", end);
  try {
    const rates = await Promise.all(workers.map(async (worker) => (await answerOf(worker, signal)) as CoreRates));
    const sum = (name: keyof CoreRates) => rates.reduce((total, rate) => total + rate[name], 0);
    return { hash: sum("hash"), compress: sum("compress"), encrypt: sum("encrypt") };
  } finally {
    signal.removeEventListener("abort", end);
    await Promise.all(end());
  }
}

async function answerOf(worker: Worker, signal: AbortSignal): Promise<unknown> {
  const ended = once(worker, "exit").then(() => {
    refuseIfStopped(signal);
    throw new Error("a worker ended without an answer");
  });
  const answered = once(worker, "message").then(([rates]) => rates);
  return Promise.race([answered, ended]);
}
