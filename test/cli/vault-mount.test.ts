import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { access, mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mustRun, runCommand } from "../support/holdfast-command.ts";
import { type Running, startHoldfast } from "../support/holdfast-process.ts";
import { NbdClient } from "../support/nbd-client.ts";

const MiB = 1024 * 1024;
const execute = promisify(execFile);

async function hasProgram(name: string): Promise<boolean> {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const found = await Promise.all(
    folders.map((folder) =>
      access(join(folder, name)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

const hasQemu = (await hasProgram("qemu-img")) && (await hasProgram("qemu-io"));
const hasLibnbd = (await hasProgram("nbdinfo")) && (await hasProgram("nbdcopy"));

describe("holdfast vault mount", () => {
  let root: string;
  let vault: string;
  const images: string[] = [];
  const mounts: Running[] = [];
  let uri: string;
  let overlayUri: string;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "holdfast-mount-"));
    vault = join(root, "vault");
    for (const [name, sizeMiB] of [
      ["os", 96],
      ["data", 5],
    ] as const) {
      const path = join(root, `${name}.img`);
      const file = await open(path, "w");
      await file.truncate(sizeMiB * MiB);
      await file.write(randomBytes(3 * MiB), 0, 3 * MiB, MiB / 2);
      await file.write(randomBytes(MiB), 0, MiB, (sizeMiB - 1) * MiB);
      await file.close();
      images.push(path);
    }
    const [os, data] = images;
    await mustRun(["init", vault, "--no-encryption"]);
    await mustRun(["backup", vault, "vm-1", `os=${os}`, `data=${data}`]);
    [uri, overlayUri] = (await Promise.all([mount(), mount("--overlay", "--overlay-folder", root)])) as [
      string,
      string,
    ];
  });
  afterAll(async () => {
    for (const { child } of mounts) child.kill("SIGKILL");
    await rm(root, { recursive: true });
  });

  async function mount(...more: string[]): Promise<string> {
    const running = startHoldfast(["vault", "mount", vault, "vm-1", "--nbd", ":0", "--json", ...more]);
    mounts.push(running);
    return JSON.parse(await running.firstLine()).uri;
  }

  it("serves every disk of the point to this machine alone, byte for byte", async () => {
    expect(uri).toMatch(/^nbd:\/\/127\.0\.0\.1:\d+$/);
    for (const [index, name] of ["os", "data"].entries()) {
      const expected = await readFile(images[index] as string);
      const client = await NbdClient.greet(uri);
      const { sizeBytes } = await client.go(name);
      expect(sizeBytes).toBe(expected.length);
      for (let offset = 0; offset < sizeBytes; offset += 8 * MiB) {
        const length = Math.min(8 * MiB, sizeBytes - offset);
        expect((await client.read(offset, length)).equals(expected.subarray(offset, offset + length))).toBe(true);
      }
      client.close();
    }
  });

  it("keeps the point pinned, ends on SIGTERM, and takes its pin away", async () => {
    const before = await readdir(join(vault, "w", "pins"));
    const running = startHoldfast(["vault", "mount", vault, "vm-1", "latest", "--nbd", ":0"]);
    mounts.push(running);
    expect(await running.firstLine()).toContain("read-only");
    expect(await readdir(join(vault, "w", "pins"))).toHaveLength(before.length + 1);
    running.child.kill("SIGTERM");
    expect(await running.ended).toMatchObject({ code: 0, stderr: "" });
    expect(await readdir(join(vault, "w", "pins"))).toEqual(before);
  });

  it("answers addresses and points that cannot be with a way out", async () => {
    const { port } = new URL(uri.replace("nbd:", "http:"));
    for (const [code, ...args] of [
      [5, "--nbd", `:${port}`],
      [2, "--nbd", "nowhere"],
      [2, "--nbd", ":70000"],
      [2, "--overlay-folder", root],
      [4, "--nbd", ":0", "--overlay", "--overlay-folder", join(root, "none")],
    ] as const) {
      const ended = await runCommand(["mount", vault, "vm-1", "latest", ...args]);
      expect([ended.code, ended.stderr.split("\n")[0]], args.join(" ")).toEqual([
        code,
        expect.stringMatching(/^holdfast: /),
      ]);
    }
    expect(await readdir(join(vault, "w", "pins"))).toHaveLength(2);
  });

  it("takes writes under an overlay, and nobody else sees them", async () => {
    const original = await readFile(images[0] as string);
    const [writer, reader] = await Promise.all([NbdClient.greet(overlayUri), NbdClient.greet(uri)]);
    for (const client of [writer, reader]) await client.go("os");
    const written = randomBytes(100_000);
    expect(await writer.write(1_000_000, written)).toBe(0);
    expect((await writer.read(1_000_000, written.length)).equals(written)).toBe(true);
    expect(await reader.write(1_000_000, written)).not.toBe(0);
    const seen = await reader.read(999_000, 102_000);
    expect(seen.equals(original.subarray(999_000, 1_101_000))).toBe(true);
    expect((await readdir(root)).filter((name) => name.startsWith("holdfast-overlay"))).toEqual([]);
    for (const client of [writer, reader]) client.close();
  });

  // The same as above with the tools that people use, where a machine has them; what they need is tested without them.
  it.skipIf(!hasLibnbd)("is read by nbdinfo and nbdcopy (package libnbd-bin)", async () => {
    const { stdout } = await execute("nbdinfo", ["--json", uri]);
    expect(JSON.parse(stdout)).toMatchObject({
      exports: [{ "export-size": 96 * MiB, is_read_only: true, can_multi_conn: true }],
    });
    expect((await execute("nbdinfo", ["--list", uri])).stdout).toMatch(/export="os".*export="data"/s);
    const map = JSON.parse((await execute("nbdinfo", ["--map", "--json", uri])).stdout) as { type: number }[];
    expect(map.map(({ type }) => type)).toContain(0);
    expect(map.length).toBeGreaterThan(2);
    const copied = join(root, "nbdcopy.img");
    await execute("nbdcopy", [uri, copied]);
    expect((await readFile(copied)).equals(await readFile(images[0] as string))).toBe(true);
  });

  it.skipIf(!hasQemu)("is read by qemu-img and qemu-io (package qemu-utils)", async () => {
    const compared = await execute("qemu-img", ["compare", "-f", "raw", "-F", "raw", uri, images[0] as string]);
    expect(compared.stdout).toContain("Images are identical.");
    const converted = join(root, "converted.qcow2");
    await execute("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", `${uri}/data`, converted]);
    const again = await execute("qemu-img", ["compare", "-F", "raw", converted, images[1] as string]);
    expect(again.stdout).toContain("Images are identical.");
    const { stdout } = await execute("qemu-io", ["-f", "raw", "-r", "-c", "read 95M 1M", uri]);
    expect(stdout).toContain("read 1048576/1048576");
  });

  it.skipIf(!hasQemu)("takes writes of qemu-io under an overlay, and nobody else sees them", async () => {
    const write = ["-c", "write -P 0x5a 1000k 100k", "-c", "write -z 2M 64k", "-c", "flush"];
    await execute("qemu-io", ["-f", "raw", ...write, overlayUri]);
    const check = ["-c", "read -P 0x5a 1000k 100k", "-c", "read -P 0 2M 64k"];
    const { stdout } = await execute("qemu-io", ["-f", "raw", "-r", ...check, overlayUri]);
    expect(stdout).not.toContain("verification failed");
    const compared = await execute("qemu-img", ["compare", "-f", "raw", "-F", "raw", uri, images[0] as string]);
    expect(compared.stdout).toContain("Images are identical.");
    expect((await readdir(root)).filter((name) => name.startsWith("holdfast-overlay"))).toEqual([]);
  });
});
