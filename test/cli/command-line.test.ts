import { randomBytes } from "node:crypto";
import { mkdtemp, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { main } from "../../cli/main.ts";
import { withoutSecrets } from "../../cli/output.ts";
import { vaultCommands } from "../../cli/vault/commands.ts";
import { mustRun } from "../support/holdfast-command.ts";
import { runHoldfast } from "../support/holdfast-process.ts";

const MiB = 1024 * 1024;

describe("The command line", () => {
  let root: string;
  let count = 0;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "holdfast-lines-"));
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
  async function run(...args: string[]) {
    const printed: string[] = [];
    const complaints: string[] = [];
    const output = {
      print: (line: string) => printed.push(line),
      complain: (line: string) => complaints.push(line),
      isTerminal: false,
    };
    const code = await main(args, {}, output);
    return { code, stdout: printed.join("\n"), stderr: complaints.join("\n") };
  }
  it("replaces a file only when told to, and leaves nothing half written", async () => {
    const vault = path("vault");
    const image = await makeImage(9 * MiB, 0, 4 * MiB);
    await mustRun(["init", vault, "--no-encryption"]);
    await mustRun(["backup", vault, "vm-1", image]);
    const target = path("target.img");
    await writeFile(target, "precious");
    expect(await run("vault", "restore", vault, "vm-1", "latest", target)).toMatchObject({ code: 5 });
    expect(await readFile(target, "utf8")).toBe("precious");
    await rm(join(vault, "v", "packs"), { recursive: true });
    const failed = await run("vault", "restore", vault, "vm-1", "latest", target, "--force");
    expect(failed).toMatchObject({ code: 6 });
    expect(await readFile(target, "utf8")).toBe("precious");
    expect((await readdir(root)).filter((name) => name.endsWith(".partial"))).toEqual([]);
    const [again, second] = [path("vault"), path("disk.vhd")];
    await mustRun(["init", again, "--no-encryption"]);
    await mustRun(["backup", again, "vm-1", image]);
    await mustRun(["restore", again, "vm-1", "latest", target, "--force"]);
    expect((await readFile(target)).equals(await readFile(image))).toBe(true);
    expect(await run("vault", "restore", again, "vm-1", "latest", root, "--force")).toMatchObject({
      code: 2,
    });
    await mustRun(["export", again, "vm-1", "latest", second]);
    expect((await stat(second)).blocks * 512).toBeLessThan(4 * MiB);
  });

  it("says which command there is, when there is none of that name", async () => {
    for (const [words, ...args] of [
      ["Did you mean backup?", "vault", "bakcup"],
      ["Did you mean vault?", "valt"],
      ["There are: init, backup,", "vault", "frobnicate"],
      ["Usage: holdfast vault <command>", "vault"],
      ["Usage: holdfast vault <command>"],
    ] as const) {
      expect(await run(...args), args.join(" ")).toMatchObject({ code: 2, stderr: expect.stringContaining(words) });
    }
    const asProcess = await runHoldfast(["vault", "ls", path("nowhere"), "--json"]);
    expect(asProcess.code).toBe(3);
    expect(JSON.parse(asProcess.stderr)).toMatchObject({ error: { code: "HoldfastNoVault" }, exitCode: 3 });
  });

  it("explains every command, with examples", async () => {
    const overview = (await run("--help")).stdout;
    const names = [...overview.matchAll(/^ {2}([a-z-]+) {2,}/gm)].map((match) => match[1] as string);
    expect(names).toEqual(vaultCommands.map(({ name }) => name));
    const helps = await Promise.all(names.map((name) => run("vault", name, "--help")));
    for (const [index, { code, stdout }] of helps.entries()) {
      expect(code).toBe(0);
      expect(stdout).toContain(`holdfast vault ${names[index]}`);
      expect(stdout).toContain("Examples:");
    }
  });

  it("keeps signatures and account keys out of whatever it says", () => {
    expect(withoutSecrets("GET https://a.invalid/v-x/p?sv=1&sig=aB%2F9%3D&se=2: AccountKey=k3y==;Name=x")).toBe(
      "GET https://a.invalid/v-x/p?sv=1&sig=***&se=2: AccountKey=***;Name=x",
    );
  });
});
