import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, open, readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mustRun } from "../support/holdfast-command.ts";
import { LAUNCHER, runHoldfast, startHoldfast } from "../support/holdfast-process.ts";

const MiB = 1024 * 1024;

describe("The holdfast command, as a process", () => {
  let root: string;
  let count = 0;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "holdfast-process-"));
  });
  afterAll(() => rm(root, { recursive: true }));

  const path = (name: string) => join(root, `${count++}-${name}`);
  async function makeImage(sizeBytes: number, ...filledAt: number[]): Promise<string> {
    const image = path("disk.img");
    const file = await open(image, "w");
    await file.truncate(sizeBytes);
    for (const offset of filledAt) await file.write(randomBytes(MiB), 0, MiB, offset);
    await file.close();
    return image;
  }

  it("stops on Ctrl-C with the vault whole, and goes on where it stopped", async () => {
    const vault = path("vault");
    const size = 800 * MiB;
    const image = await makeImage(size, 0, 270 * MiB, size - MiB);
    await mustRun(["init", vault, "--no-encryption"]);
    const running = startHoldfast(["vault", "backup", vault, "vm-1", image, "--json"]);
    const fragments = join(vault, "w", "fragments");
    const isUnderWay = async () =>
      (await readdir(fragments, { recursive: true }).catch(() => [])).some((name) => /0-0$/.test(name));
    while (!(await isUnderWay())) await sleep(5);
    running.child.kill("SIGINT");
    const stopped = await running.ended;
    expect(stopped).toMatchObject({ code: 130 });
    const failure = JSON.parse(stopped.stderr.trim().split("\n").at(-1) ?? "");
    expect(failure.error).toMatchObject({ code: "HoldfastStopped", kind: "cancelled" });
    const token = /--resume (\S+)/.exec(failure.error.hint)?.[1] ?? "";
    expect(JSON.parse(await mustRun(["ls", vault, "--json"]))).toEqual([]);
    expect(await mustRun(["verify", vault])).toContain("Nothing is wrong.");

    const transfer = token.slice(0, 32);
    const written = join(fragments, transfer, "0-0");
    const { mtimeMs } = await stat(written);
    const other = await makeImage(MiB, 0);
    expect((await runHoldfast(["vault", "backup", vault, "vm-1", other, "--resume", token])).code).toBe(5);
    const point = JSON.parse(await mustRun(["backup", vault, "vm-1", image, "--resume", token, "--json"]));
    expect(point).toMatchObject({ point: transfer, newBytes: 3 * MiB });
    expect((await stat(written)).mtimeMs).toBe(mtimeMs);
    const restored = path("restored.img");
    await mustRun(["restore", vault, "vm-1", "latest", restored]);
    const [expected, found] = [await open(image), await open(restored)];
    for (const offset of [0, 270 * MiB, size - MiB]) {
      const [left, right] = [Buffer.alloc(MiB), Buffer.alloc(MiB)];
      await expected.read(left, 0, MiB, offset);
      await found.read(right, 0, MiB, offset);
      expect(left.equals(right)).toBe(true);
    }
    expect(await found.stat()).toMatchObject({ size });
    expect((await found.stat()).blocks * 512).toBeLessThanOrEqual(4 * MiB);
    await Promise.all([expected.close(), found.close()]);
    await utimes(image, new Date(), new Date());
    expect((await runHoldfast(["vault", "backup", vault, "vm-1", image, "--resume", token])).code).toBe(5);
  }, 60_000);

  it("gives a disk to whoever reads its standard output, and nothing else with it", async () => {
    const [vault, image] = [path("vault"), await makeImage(3 * MiB + 512, MiB)];
    await mustRun(["init", vault, "--no-encryption"]);
    await mustRun(["backup", vault, "vm-1", image]);
    const piped = await runHoldfast(["vault", "export", vault, "vm-1", "latest", "-"]);
    expect(piped).toMatchObject({ code: 0, stderr: "" });
    expect(piped.stdout.subarray(0, -512).equals(await readFile(image))).toBe(true);
    expect(piped.stdout.subarray(-512).toString("latin1", 0, 8)).toBe("conectix");
  });

  it("takes its pin along when the reader of its output goes away", async () => {
    const vault = path("vault");
    await mustRun(["init", vault, "--no-encryption"]);
    await mustRun(["backup", vault, "vm-1", await makeImage(20 * MiB, 0, 19 * MiB)]);
    const running = startHoldfast(["vault", "restore", vault, "vm-1", "latest", "-"]);
    running.child.stdout?.once("data", () => running.child.stdout?.destroy());
    expect(await running.ended).toMatchObject({ code: 141, stderr: "" });
    expect(await readdir(join(vault, "w", "pins"))).toEqual([]);
  });

  it.skipIf(process.platform === "win32")(
    "says that a target cannot be written, and leaves nothing of it",
    async () => {
      const vault = path("vault");
      await mustRun(["init", vault, "--no-encryption"]);
      await mustRun(["backup", vault, "vm-1", await makeImage(20 * MiB, 0)]);
      // As a full disk would: no file of this process may grow beyond 2 MiB or so.
      const limited = `ulimit -f 4096 && exec "$@"`;
      for (const target of [path("restored.img"), path("restored.vhd")]) {
        const args = ["vault", target.endsWith("vhd") ? "export" : "restore", vault, "vm-1", "latest", target];
        const ended = spawnSync("sh", ["-c", limited, "sh", process.execPath, LAUNCHER, ...args], { encoding: "utf8" });
        expect([ended.status, ended.stderr]).toEqual([4, expect.stringContaining("HoldfastImageNotWritten")]);
        expect(ended.stderr).toContain("Make room");
      }
      expect((await readdir(root)).filter((name) => name.includes("restored") && name.includes("partial"))).toEqual([]);
      expect(await readdir(join(vault, "w", "pins"))).toEqual([]);
    },
  );

  it("measures a store and leaves nothing behind, however it ends", async () => {
    const vault = path("vault");
    await mustRun(["init", vault, "--no-encryption"]);
    const filesIn = async () =>
      (await readdir(vault, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => join(parentPath, name));
    const before = await filesIn();
    const measured = JSON.parse(await mustRun(["bench", vault, "--seconds", "1", "--json"]));
    for (const rate of [measured.store.writeBytesPerSecond, measured.store.readBytesPerSecond]) {
      expect(rate).toBeGreaterThan(0);
    }
    expect(measured.machine.oneCore).toMatchObject({ hash: expect.any(Number), compress: expect.any(Number) });
    expect(measured.firstBackup.limitedBy).toMatch(/^(?:machine|store)$/);
    expect(await filesIn()).toEqual(before);
    const start = async () => {
      const running = startHoldfast(["vault", "bench", vault, "--seconds", "600"]);
      while ((await filesIn()).length === before.length) await sleep(5);
      return running;
    };
    const stopped = await start();
    stopped.child.kill("SIGINT");
    expect((await stopped.ended).code).toBe(130);
    expect(await filesIn()).toEqual(before);
    // Killed, it can remove nothing; the next one finds what is older than an hour.
    const killed = await start();
    while ((await filesIn()).filter((name) => name.includes("bench")).length === 0) await sleep(5);
    killed.child.kill("SIGKILL");
    await killed.ended;
    const yesterday = new Date(Date.now() - 24 * 3_600_000);
    for (const name of await filesIn()) if (name.includes("bench")) await utimes(name, yesterday, yesterday);
    await mustRun(["bench", vault, "--seconds", "1", "--json"]);
    expect((await filesIn()).filter((name) => !name.includes(".scratch"))).toEqual(before);
  }, 60_000);

  it("answers 1 when an image changes while it is read", async () => {
    const vault = path("vault");
    const image = await makeImage(400 * MiB, 0);
    await mustRun(["init", vault, "--no-encryption"]);
    const running = startHoldfast(["vault", "backup", vault, "vm-1", image]);
    while ((await readdir(join(vault, "w", "plans")).catch(() => [])).length === 0) await sleep(5);
    await utimes(image, new Date(), new Date());
    expect(await running.ended).toMatchObject({ code: 1, stderr: expect.stringContaining("may mix old and new") });
  });
});
