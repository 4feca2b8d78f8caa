import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { acquireHubLock } from "../../../../localhost/task-hub/journal/hub-lock.ts";
import { temporaryFolders } from "./journal-folder.ts";

const folders = temporaryFolders();
const PROGRAM = fileURLToPath(new URL("lock-process.ts", import.meta.url));
const started: ChildProcess[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map(kill));
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** Starts a process that wants the folder, and tells what it said. */
async function contender(folder: string, ...more: string[]): Promise<{ child: ChildProcess; said: string }> {
  const argv = ["--expose-gc", PROGRAM, folder, "http://127.0.0.1:7071", ...more];
  const child = spawn(process.execPath, argv, { stdio: ["pipe", "pipe", "inherit"] });
  started.push(child);
  const [said] = (await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), "line")) as [string];
  return { child, said };
}

describe("the lock of a data folder", () => {
  it("is held by one of many that start at once, and the others say by whom", async () => {
    for (let round = 0; round < 3; round++) {
      const folder = folders.next();
      const contenders = await Promise.all(Array.from({ length: 5 }, () => contender(folder)));
      const holders = contenders.filter(({ said }) => said === "held");
      expect(holders).toHaveLength(1);
      for (const { said } of contenders.filter(({ said }) => said !== "held")) {
        expect(said).toMatch(/^refused conflict The data folder .* is in use by another host/);
        expect(said).toContain(`process ${holders[0]?.child.pid},`);
        expect(said).toContain("--data");
      }
      await Promise.all(contenders.map(({ child }) => kill(child)));
    }
  });

  it("is refused with the address of the host that holds it", async () => {
    const folder = folders.next();
    const { child, said } = await contender(folder);
    expect(said).toBe("held");
    await expect(acquireHubLock(folder)).rejects.toMatchObject({
      kind: "conflict",
      code: "HubLocked",
      message: expect.stringMatching(new RegExp(`process ${child.pid}, started \\S+, at http://127.0.0.1:7071`)),
      hint: expect.stringContaining("--data"),
    });
  });

  it("is free at once when its holder is killed", async () => {
    const folder = folders.next();
    for (let round = 0; round < 5; round++) {
      const { child, said } = await contender(folder);
      expect(said).toBe("held");
      await kill(child);
      const lock = await acquireHubLock(folder);
      await lock.release();
    }
  });

  it("is held for one host in the same process, too, and free after its release", async () => {
    const folder = folders.next();
    const lock = await acquireHubLock(folder);
    await expect(acquireHubLock(folder)).rejects.toMatchObject({ kind: "conflict" });
    await lock.release();
    await lock.release();
    const again = await acquireHubLock(folder);
    await again.release();
    expect(fs.readdirSync(folder)).toEqual(["host.lock"]);
  });

  it("stays when nobody refers to it any more", async () => {
    const folder = folders.next();
    const { said } = await contender(folder, "careless");
    expect(said).toBe("held");
    await expect(acquireHubLock(folder)).rejects.toMatchObject({ kind: "conflict" });
  });

  it("names nobody wrongly when the note beside it is a dead process's, damaged or missing", async () => {
    const dead = spawn(process.execPath, ["--version"], { stdio: "ignore" });
    await once(dead, "exit");
    const refuseWithNote = async (note: string | undefined): Promise<void> => {
      const folder = folders.next();
      expect((await contender(folder)).said).toBe("held");
      if (note === undefined) fs.rmSync(join(folder, "host.json"));
      else fs.writeFileSync(join(folder, "host.json"), note);
      await expect(acquireHubLock(folder)).rejects.toThrow("another host, which is not visible from here");
    };
    await Promise.all([JSON.stringify({ pid: dead.pid, started: "then" }), "{", undefined].map(refuseWithNote));
  });

  it("is another one for another folder", async () => {
    const locks = await Promise.all([acquireHubLock(folders.next()), acquireHubLock(folders.next())]);
    for (const lock of locks) await lock.release();
  });

  it("says what is wrong with a folder that cannot be locked", async () => {
    const file = folders.next();
    fs.writeFileSync(file, "");
    await expect(acquireHubLock(file)).rejects.toMatchObject({
      kind: "unavailable",
      code: "HubLockFailed",
      message: expect.stringContaining(file),
    });
  });
});
