// Orchestrations that were begun by an earlier release go on under this one: every history that was recorded replays to the
// same actions, in the same order. One that does not is a change that strands running backups.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ORCHESTRATIONS } from "../../orchestrations/catalog.ts";
import { PLAN_DISK, SEAL_DISK } from "../../orchestrations/contracts.ts";
import { type Recording, recordHistories, replay } from "../support/recorded-histories.ts";

const folder = import.meta.dirname;
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));

const read = (name: string): Recording => JSON.parse(readFileSync(join(folder, name), "utf8")) as Recording;

describe("A recorded history", () => {
  it.each(files)("replays: %s", async (name) => {
    const recording = read(name);
    expect(await replay(recording)).toEqual(recording.outcome);
  });

  it("is there of every orchestration, and of one that went on as new", () => {
    const recorded = new Set(files.map((name) => read(name).orchestrator));
    expect([...recorded].sort()).toEqual(Object.keys(ORCHESTRATIONS).sort());
    expect(files.filter((name) => name.startsWith("long-transfer")).length).toBeGreaterThan(1);
  });

  it("does not replay when it tells of other steps", async () => {
    const recording = read("backup.transfer-disk-v1.1.json");
    const text = JSON.stringify(recording.outcome).replaceAll(SEAL_DISK.name, PLAN_DISK.name);
    expect(await replay(recording)).not.toEqual(JSON.parse(text));
    const without = { ...recording.payload, history: recording.payload.history.slice(0, -4) };
    expect(await replay({ ...recording, payload: without })).not.toEqual(recording.outcome);
  });

  it("is what the orchestrations of today write", async () => {
    expect([...(await recordHistories()).keys()].map((name) => `${name}.json`).sort()).toEqual([...files].sort());
  });
});
