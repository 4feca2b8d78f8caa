import { randomBytes } from "node:crypto";
import { mkdtemp, open, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  AccountSASPermissions,
  AccountSASResourceTypes,
  AccountSASServices,
  generateAccountSASQueryParameters,
  SASProtocol,
} from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Azurite, startAzurite } from "../support/azurite.ts";
import { runHoldfast, startHoldfast } from "../support/holdfast-process.ts";

const MiB = 1024 * 1024;

describe("The holdfast command, as a process", () => {
  let root: string;
  let azurite: Azurite;
  let count = 0;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "holdfast-process-"));
    azurite = await startAzurite();
  });
  afterAll(async () => {
    await azurite.stop();
    await rm(root, { recursive: true });
  });

  const path = (name: string) => join(root, `${count++}-${name}`);
  async function makeImage(sizeBytes: number, ...filledAt: number[]): Promise<string> {
    const image = path("disk.img");
    const file = await open(image, "w");
    await file.truncate(sizeBytes);
    for (const offset of filledAt) await file.write(randomBytes(MiB), 0, MiB, offset);
    await file.close();
    return image;
  }
  async function must(args: readonly string[], environment?: Record<string, string>): Promise<string> {
    const { code, stdout, stderr } = await runHoldfast(["vault", ...args], environment);
    expect([code, stderr], args.join(" ")).toEqual([0, ""]);
    return stdout.toString();
  }

  it("does everything a vault can, from a folder into a storage account and back", async () => {
    const [vault, key, escrow] = [path("vault"), path("key.json"), path("escrow.json")];
    const environment = { HOLDFAST_KEY_FILE: key };
    const image = await makeImage(40 * MiB, MiB, 30 * MiB);
    const original = await readFile(image);
    const data = await makeImage(3 * MiB + 512, 0);
    expect(await must(["init", vault, "--escrow-file", escrow], environment)).toContain("is ready");
    const first = JSON.parse(
      await must(["backup", vault, "vm-1", `os=${image}`, `data=${data}`, "--tag", "daily", "--json"], environment),
    );
    expect(first).toMatchObject({ item: "vm-1", sequence: 1, newBytes: 3 * MiB });
    await writeFile(
      image,
      Buffer.concat([original.subarray(0, 7 * MiB), randomBytes(10), original.subarray(7 * MiB + 10)]),
    );
    const second = JSON.parse(
      await must(["backup", vault, "vm-1", `os=${image}`, `data=${data}`, "--json"], environment),
    );
    const listed = await must(["ls", vault, "vm-1"], environment);
    expect(listed.trim().split("\n")).toHaveLength(3);
    expect(await must(["show", vault, "vm-1", first.point.slice(-8)], environment)).toContain("tags         daily");
    expect(await must(["diff", vault, "vm-1", first.point, "latest", "--disk", "os"], environment)).toBe(
      `${7 * MiB} ${MiB / 2}\n`,
    );
    expect(await must(["verify", vault, "--part", "1/2", "--record"], environment)).toContain("Nothing is wrong.");
    const folder = path("restored");
    await must(["restore", vault, "vm-1", first.point, folder, "--all-disks"], environment);
    expect((await readFile(join(folder, "0-os.img"))).equals(original)).toBe(true);
    expect((await readFile(join(folder, "1-data.img"))).equals(await readFile(data))).toBe(true);
    const piped = await runHoldfast(["vault", "export", vault, "vm-1", "latest", "-", "--disk", "data"], environment);
    expect(piped.stdout.subarray(0, -512).equals(await readFile(data))).toBe(true);
    expect(piped.stdout.subarray(-512).toString("latin1", 0, 8)).toBe("conectix");
    await must(["hold", vault, "vm-1", first.point], environment);
    await must(["hold", vault, "vm-1", first.point, "--release"], environment);
    await must(["delete", vault, "vm-1", first.point, "--reason", "old"], environment);
    await must(["undelete", vault, "vm-1", first.point], environment);
    expect(await must(["gc", vault], environment)).toContain("freed 0 B");

    const sas = generateAccountSASQueryParameters(
      {
        services: AccountSASServices.parse("b").toString(),
        resourceTypes: AccountSASResourceTypes.parse("sco").toString(),
        permissions: AccountSASPermissions.parse("rwdlac"),
        protocol: SASProtocol.HttpsAndHttp,
        expiresOn: new Date(Date.now() + 3_600_000),
      },
      azurite.credential,
    ).toString();
    const url = `${azurite.blobEndpoint}/v-copied?${sas}`;
    expect(await must(["copy", vault, url], environment)).toContain("Copied 2 points");
    const refused = await runHoldfast(["vault", "backup", url, "vm-1", image], environment);
    expect(refused).toMatchObject({ code: 4 });
    expect(refused.stderr).not.toContain(new URL(url).searchParams.get("sig"));
    const escrowed = { HOLDFAST_KEY_FILE: escrow, AZURE_STORAGE_CONNECTION_STRING: azurite.connectionString };
    await must(["adopt", "copied"], escrowed);
    const third = JSON.parse(await must(["backup", "copied", "vm-1", `os=${image}`, "--json"], escrowed));
    expect(third).toMatchObject({ sequence: 3, newBytes: 0 });
    const catalog = (await must(["rebuild-catalog", url], environment)).trim().split("\n");
    expect(catalog.map((line) => JSON.parse(line).transfer)).toEqual([first.point, second.point, third.point]);
    const back = path("back.img");
    await must(["restore", url, "vm-1", first.point, back, "--disk", "os"], environment);
    expect((await readFile(back)).equals(original)).toBe(true);
  }, 60_000);

  it("stops on Ctrl-C with the vault whole, and goes on where it stopped", async () => {
    const vault = path("vault");
    const size = 800 * MiB;
    const image = await makeImage(size, 0, 270 * MiB, size - MiB);
    await must(["init", vault, "--no-encryption"]);
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
    expect(JSON.parse(await must(["ls", vault, "--json"]))).toEqual([]);
    expect(await must(["verify", vault])).toContain("Nothing is wrong.");

    const transfer = token.slice(0, 32);
    const written = join(fragments, transfer, "0-0");
    const { mtimeMs } = await stat(written);
    const other = await makeImage(MiB, 0);
    expect((await runHoldfast(["vault", "backup", vault, "vm-1", other, "--resume", token])).code).toBe(5);
    const point = JSON.parse(await must(["backup", vault, "vm-1", image, "--resume", token, "--json"]));
    expect(point).toMatchObject({ point: transfer, newBytes: 3 * MiB });
    expect((await stat(written)).mtimeMs).toBe(mtimeMs);
    const restored = path("restored.img");
    await must(["restore", vault, "vm-1", "latest", restored]);
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

  it("takes its pin along when the reader of its output goes away", async () => {
    const vault = path("vault");
    await must(["init", vault, "--no-encryption"]);
    await must(["backup", vault, "vm-1", await makeImage(20 * MiB, 0, 19 * MiB)]);
    const running = startHoldfast(["vault", "restore", vault, "vm-1", "latest", "-"]);
    running.child.stdout?.once("data", () => running.child.stdout?.destroy());
    expect(await running.ended).toMatchObject({ code: 141, stderr: "" });
    expect(await readdir(join(vault, "w", "pins"))).toEqual([]);
  });

  it("answers 1 when an image changes while it is read", async () => {
    const vault = path("vault");
    const image = await makeImage(400 * MiB, 0);
    await must(["init", vault, "--no-encryption"]);
    const running = startHoldfast(["vault", "backup", vault, "vm-1", image]);
    while ((await readdir(join(vault, "w", "plans")).catch(() => [])).length === 0) await sleep(5);
    await utimes(image, new Date(), new Date());
    expect(await running.ended).toMatchObject({ code: 1, stderr: expect.stringContaining("may mix old and new") });
  });
});
