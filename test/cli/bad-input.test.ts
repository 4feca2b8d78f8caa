// Every command, with every mistake that somebody new may make: the exit code that is documented, words that say what is wrong,
// no stack, no secret, the same as JSON, and not one file changed.

import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { vaultCommands } from "../../cli/vault/commands.ts";
import { mustRun, runCommand } from "../support/holdfast-command.ts";

const MiB = 2 ** 20;

/** Where things are, in the rows below: KEY opens ENCRYPTED, OTHERKEY does not; PLAIN takes none; NOWHERE is not there. */
const ROWS: readonly (readonly [number, string, string])[] = [
  [2, "init needs <vault>", "init"],
  [2, 'know what to do with "more"', "init NEW more --no-encryption"],
  [2, "Give one --key-file", "init NEW"],
  [2, "Give one --key-file", "init NEW --no-encryption --key-file KEY"],
  [2, "Give one --key-file", "init NEW --key-file KEY --key-vault-key https://v.vault.azure.net/keys/k"],
  [2, "has no key to put into escrow", "init NEW --no-encryption --escrow-file NEWKEY"],
  [2, "to be another file", "init NEW --key-file NEWKEY --escrow-file NEWKEY"],
  [2, "no URL of a key", "init NEW --key-vault-key nonsense"],
  [2, "begins with https://", "init NEW --key-vault-key http://v.vault.azure.net/keys/k"],
  [2, "power of two", "init NEW --no-encryption --chunk-size 100K"],
  [2, "number of bytes", "init NEW --no-encryption --chunk-size much"],
  [2, "--level is 1 to 19", "init NEW --no-encryption --level 99"],
  [2, "whole number", "init NEW --no-encryption --soft-delete-days soon"],
  [2, "argument missing", "init NEW --no-encryption --name"],
  [2, "Did you mean --key-file?", "init NEW --keyfile KEY"],
  [3, "no folder for", "init NEW --key-file NOWHERE/key.json"],
  [4, "cannot be read as a key file", "init NEW --key-file IMAGE"],
  [5, "exists already", "init NEW --key-file KEY --escrow-file OTHERKEY"],
  [5, "is not empty", "init PLAIN --no-encryption"],
  [5, "is not empty", "init ENCRYPTED --key-file NEWKEY --escrow-file NEWKEY2"],
  [5, "a file is in its way", "init IMAGE --no-encryption"],
  [2, "backup needs <item>", "backup PLAIN"],
  [2, "backup needs <image>", "backup PLAIN vm-1"],
  [2, "an item id is", "backup PLAIN VM_1 IMAGE"],
  [2, "named disk.img", "backup PLAIN vm-1 IMAGE IMAGE"],
  [2, "is empty", "backup PLAIN vm-1 EMPTY"],
  [2, "is a folder", "backup PLAIN vm-1 FOLDER"],
  [2, "takes the token", "backup PLAIN vm-1 IMAGE --resume now"],
  [2, "an item id is", "backup PLAIN vm-1 IMAGE --relative VM_2"],
  [2, "Line 1 of", "backup PLAIN vm-1 IMAGE --changed IMAGE"],
  [2, "speaks of one image", "backup PLAIN vm-1 a=IMAGE b=IMAGE --changed EMPTY"],
  [3, "cannot be read", "backup PLAIN vm-1 IMAGE --changed NOWHERE"],
  [3, "no such file", "backup PLAIN vm-1 NOWHERE"],
  [2, "Usage: holdfast vault backup <vault> <item>", "backup vm-1 PLAIN IMAGE"],
  [3, "There is no vault", "backup FOLDER vm-1 IMAGE"],
  [4, "no key was given", "backup ENCRYPTED vm-1 IMAGE"],
  [4, "opens with file:", "backup ENCRYPTED vm-1 IMAGE --key-file OTHERKEY"],
  [4, "not encrypted, but a key", "backup PLAIN vm-1 IMAGE --key-file KEY"],
  [4, "This is a copy", "backup COPY vm-1 IMAGE"],
  [5, "not the images", `backup PLAIN vm-1 IMAGE --resume ${"0".repeat(32)}-00000000`],
  [2, "ls needs <vault>", "ls"],
  [2, "an item id is", "ls PLAIN VM"],
  [2, "Did you mean --json?", "ls PLAIN --jsn"],
  [2, "ends in /v-<name>", "ls https://account.invalid/container?sig=SECRET"],
  [2, "no URL of a container", "ls https://["],
  [2, "lacks AccountName", "ls prod --connection-string nonsense"],
  [2, "cannot be a vault's name", "ls Prod_ --connection-string AccountName=x;AccountKey=SECRET"],
  [3, "There is no vault", "ls NOWHERE"],
  [3, "There is no vault", "ls IMAGE"],
  [3, "Did you mean vm-1?", "ls PLAIN vm-2"],
  [4, "no key was given", "ls ENCRYPTED"],
  [4, "cannot be read as a key file: ENOENT", "ls ENCRYPTED --key-file NOWHERE"],
  [4, "cannot be read as a key file", "ls ENCRYPTED --key-file KEY --key-file IMAGE"],
  [2, "show needs <item>", "show PLAIN"],
  [2, "is no point", "show PLAIN vm-1 newest"],
  [3, "Did you mean vm-1?", "show PLAIN vm-2"],
  [3, "There is no point of vm-1", `show PLAIN vm-1 ${"0".repeat(32)}`],
  [3, "ending in 00000", "show PLAIN vm-1 00000"],
  [2, "diff needs <point>", "diff PLAIN vm-1 latest"],
  [3, "ending in 00000", "diff PLAIN vm-1 latest 00000"],
  [3, "has no disk 4", "diff PLAIN vm-1 latest latest --disk 4"],
  [2, "Usage: holdfast vault restore <vault> <item> <point> <target>", "restore PLAIN vm-1 latest"],
  [2, "--format is raw or vhd", "restore PLAIN vm-1 latest NEW --format qcow2"],
  [2, 'no disk "os"', "restore PLAIN vm-1 latest NEW --disk os"],
  [2, "Name a file in it", "restore PLAIN vm-1 latest FOLDER --force"],
  [2, "takes a folder", "restore PLAIN vm-1 latest - --all-disks"],
  [2, "takes a folder", "restore PLAIN vm-1 latest NEW --all-disks --disk 0"],
  [3, "It has 0 (disk.img)", "restore PLAIN vm-1 latest NEW --disk 5"],
  [3, "cannot be made", "restore PLAIN vm-1 latest NOWHERE/disk.img"],
  [3, "Did you mean vm-1?", "restore PLAIN vm-2 latest NEW"],
  [5, "--force replaces it", "restore PLAIN vm-1 latest IMAGE"],
  [5, "the target is a folder", "restore PLAIN vm-1 latest IMAGE --all-disks"],
  [2, "export needs <target>", "export PLAIN vm-1 latest"],
  [5, "--force replaces it", "export PLAIN vm-1 latest IMAGE"],
  [2, "mount needs <item>", "mount PLAIN"],
  [2, "--nbd is", "mount PLAIN vm-1 --nbd somewhere"],
  [2, "--nbd is", "mount PLAIN vm-1 --nbd :70000"],
  [2, "needs --overlay", "mount PLAIN vm-1 --nbd :0 --overlay-folder FOLDER"],
  [3, "no folder for", "mount PLAIN vm-1 --nbd unix:NOWHERE/socket"],
  [3, "has no disk 9", "mount PLAIN vm-1 --nbd :0 --disk 9"],
  [3, "Did you mean vm-1?", "mount PLAIN vm-2 --nbd :0"],
  [4, "overlay", "mount PLAIN vm-1 --nbd :0 --overlay --overlay-folder NOWHERE"],
  [2, "--part is n/m", "verify PLAIN --part 5/4"],
  [2, "not both", "verify PLAIN --structure --part 1/4"],
  [2, 'know what to do with "vm-1"', "verify PLAIN vm-1"],
  [4, "This is a copy", "verify COPY --record"],
  [2, "delete needs <point>", "delete PLAIN vm-1"],
  [3, "ending in 00000", "delete PLAIN vm-1 00000"],
  [4, "This is a copy", "delete COPY vm-1 latest"],
  [5, "the last one of vm-1", "delete PLAIN vm-1 latest"],
  [3, "ending in 00000", "undelete PLAIN vm-1 00000"],
  [4, "This is a copy", "undelete COPY vm-1 latest"],
  [3, "Did you mean vm-1?", "hold PLAIN vm-2 latest"],
  [4, "This is a copy", "hold COPY vm-1 latest"],
  [3, "There is no vault", "gc NOWHERE"],
  [4, "This is a copy", "gc COPY"],
  [2, "copy needs <target>", "copy PLAIN"],
  [3, "There is no vault", "copy NOWHERE PLAIN"],
  [5, "is the vault itself", "copy PLAIN PLAIN"],
  [5, "holds another vault", "copy PLAIN ENCRYPTED"],
  [5, "a file is in its way", "copy PLAIN IMAGE"],
  [3, "There is no vault", "adopt NOWHERE"],
  [5, "This is no copy", "adopt PLAIN"],
  [3, "There is no vault", "repair NOWHERE"],
  [3, "There is no vault", "repair PLAIN --from NOWHERE"],
  [4, "This is a copy", "repair COPY"],
  [2, "argument missing", "repair PLAIN --from"],
  [3, "There is no vault", "rebuild-catalog NOWHERE"],
  [4, "no key was given", "rebuild-catalog ENCRYPTED"],
  [4, "no key was given", "keys ENCRYPTED"],
  [2, "keys needs <vault>", "keys"],
  [2, "Say what is to change", "rotate-key ENCRYPTED --key-file KEY"],
  [
    2,
    "not both",
    "rotate-key ENCRYPTED --key-file KEY --new-key-file NEWKEY --new-key-vault-key https://v.invalid/keys/k",
  ],
  [2, "not both", "rotate-key ENCRYPTED --key-file KEY --keep-old --retire file:0"],
  [2, "to be another file", "rotate-key ENCRYPTED --key-file KEY --new-key-file NEWKEY --new-escrow-file NEWKEY"],
  [2, "is the old one", "rotate-key ENCRYPTED --key-file KEY --new-key-file KEY"],
  [2, "no URL of a key", "rotate-key ENCRYPTED --key-file KEY --new-key-vault-key key"],
  [2, "not encrypted", "rotate-key PLAIN --data-key"],
  [3, "no folder for", "rotate-key ENCRYPTED --key-file KEY --new-key-file NOWHERE/key.json"],
  [3, "No key file:0 opens", "rotate-key ENCRYPTED --key-file KEY --retire file:0 --new-key-file NEWKEY"],
  [2, "not encrypted", "rotate-key PLAIN --new-key-file NEWKEY"],
  [4, "This is a copy", "rotate-key ENCRYPTEDCOPY --key-file KEY --new-key-file NEWKEY --new-escrow-file NEWKEY2"],
  [3, "There is no vault", "rotate-key NOWHERE --data-key"],
  [4, "cannot be read as a key file", "rotate-key ENCRYPTED --key-file KEY --new-key-file IMAGE"],
  [4, "opens with file:", "rotate-key ENCRYPTED --key-file OTHERKEY --data-key"],
  [4, "This is a copy", "rotate-key ENCRYPTEDCOPY --key-file KEY --data-key"],
  [4, "cannot be read as a key file", "rotate-key ENCRYPTED --key-file KEY --new-escrow-file IMAGE"],
  [2, "is the old one", "rotate-key ENCRYPTED --key-file KEY --new-key-file NEWKEY --new-escrow-file KEY"],
  [2, "--seconds is", "bench PLAIN --seconds 0"],
  [2, "whole number", "bench PLAIN --seconds some"],
  [3, "There is no vault", "bench FOLDER"],
];

describe("A mistake", () => {
  let root: string;
  let places: Map<string, string>;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "holdfast-mistakes-"));
    const names = {
      ...{ PLAIN: "plain", ENCRYPTED: "encrypted", COPY: "copy", ENCRYPTEDCOPY: "encrypted-copy", NEW: "new" },
      ...{ KEY: "key.json", OTHERKEY: "other.json", NEWKEY: "new.json", NEWKEY2: "new2.json" },
      ...{ IMAGE: "disk.img", EMPTY: "empty.img", FOLDER: "folder", NOWHERE: "nowhere" },
    };
    places = new Map(Object.entries(names).map(([word, name]) => [word, join(root, name)]));
    await writeFile(place("IMAGE"), randomBytes(MiB));
    await writeFile(place("EMPTY"), "");
    await mkdir(place("FOLDER"));
    await mustRun(filled("init PLAIN --no-encryption"));
    await mustRun(filled("backup PLAIN vm-1 IMAGE"));
    await mustRun(filled("copy PLAIN COPY"));
    await mustRun(filled("init ENCRYPTED --key-file KEY"));
    await mustRun(filled("copy ENCRYPTED ENCRYPTEDCOPY --key-file KEY"));
    await mustRun(filled("init FOLDER/another --key-file OTHERKEY"));
  });
  afterAll(() => rm(root, { recursive: true }));

  const place = (word: string) => places.get(word) ?? "";
  const filled = (row: string) =>
    row.split(" ").map((word) => word.replace(/[A-Z0-9]{3,}/, (name) => places.get(name) ?? name));

  /** Names, times and bytes. Stores make their empty scratch folder whenever they are opened. */
  async function everything(): Promise<string> {
    const names = (await readdir(root, { recursive: true })).filter((name) => !name.endsWith(".scratch")).sort();
    const lines = names.map(async (name) => {
      const found = await stat(join(root, name));
      const isFile = found.isFile();
      const digest =
        isFile &&
        createHash("sha1")
          .update(await readFile(join(root, name)))
          .digest("hex");
      return [name, isFile && found.mtimeMs, digest].join(" ");
    });
    return (await Promise.all(lines)).join("\n");
  }

  async function mistakesIn(code: number, words: string, row: string): Promise<string | undefined> {
    const answer = await runCommand(filled(row));
    if (answer.code !== code || !answer.stderr.includes(words)) return `${answer.code}, ${answer.stderr}`;
    if (answer.stdout !== "") return `it printed ${answer.stdout}`;
    if (!/^holdfast: .+ \(Holdfast\w+\)$/m.test(answer.stderr)) return `no failure: ${answer.stderr}`;
    if (/SECRET|\n {4}at |undefined|\[object/.test(answer.stderr)) return `it should not say ${answer.stderr}`;
    if (code === 2 && !/\n {2}\S/.test(answer.stderr)) return `no way out: ${answer.stderr}`;
    // Before the options: one that lacks its value would take it for that.
    const [command = "", ...rest] = filled(row);
    const asJson = await runCommand([command, "--json", ...rest]);
    const last = JSON.parse(asJson.stderr.split("\n").at(-1) ?? "");
    const isSame = last.exitCode === code && answer.stderr.includes(`(${last.error?.code})`);
    return isSame ? undefined : `as JSON it is ${asJson.stderr}`;
  }

  it("is answered with its exit code, what is wrong and a way out, in words and as JSON, and nothing is written", async () => {
    const before = await everything();
    const wrong: string[] = [];
    for (const [code, words, row] of ROWS) {
      const problem =
        (await mistakesIn(code, words, row)) ?? ((await everything()) === before ? undefined : "it wrote");
      if (problem) wrong.push(`${row}: ${problem}`);
    }
    expect(wrong).toEqual([]);
  }, 120_000);

  it("is tried with every command", () => {
    const tried = new Set(ROWS.map(([, , row]) => row.split(" ")[0]));
    expect(vaultCommands.map(({ name }) => name).filter((name) => !tried.has(name))).toEqual([]);
  });
});
