// Holdfast, restic and borg on the same image and folder, each with encryption, each as the process its users start: a
// first backup, a second one after the churn of a day, a restore. Rounds alternate who begins, and the middle one counts.
// Holdfast is told what changed, as Azure tells it; the others have no way to be told, and read all of it. A restore is
// over when the image is on the disk: Holdfast sees to that itself, restic leaves it to whoever started it.

import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bench, BenchRow } from "./bench.ts";
import { benchFolder, digestOf, diskImage, lacksForImage, withChurn } from "./support/disk-image.ts";
import {
  type BackupProgram,
  borg,
  holdfast,
  lacks,
  listed,
  median,
  restic,
  round,
  syncFile,
  timed,
  timedWarm,
} from "./support/programs.ts";

const ROUNDS = 3;

/** Of one program, a figure for each round. */
interface Figures {
  readonly first: number[];
  readonly second: number[];
  readonly restore: number[];
  /** The same, but until the program ended. */
  readonly restoreEnded: number[];
  storedBytes: number;
  addedBytes: number;
  /** Whether the last restored image equals the churned one. */
  isEqual: boolean;
}

export const peers: Bench = {
  about: "vault in a folder against restic and borg: first backup, incremental, stored bytes, restore",
  timeoutMs: 900_000,
  async run() {
    const missing = lacksForImage();
    if (missing) return [{ name: "against restic and borg", skipped: missing }];
    const image = await diskImage();
    const names = ["holdfast", ...["restic", "borg"].filter((name) => lacks(name) === undefined)];
    const figures = new Map(names.map((name) => [name, newFigures()]));
    for (let turn = 0; turn < ROUNDS; turn++) {
      const folder = mkdtempSync(join(benchFolder(), "peers-"));
      try {
        await playRound(folder, image, turn % 2 === 0 ? names : names.toReversed(), figures);
      } finally {
        rmSync(folder, { recursive: true });
      }
    }
    return describe(figures);
  },
};

function newFigures(): Figures {
  return { first: [], second: [], restore: [], restoreEnded: [], storedBytes: 0, addedBytes: 0, isEqual: false };
}

async function playRound(
  folder: string,
  image: string,
  names: readonly string[],
  figures: ReadonlyMap<string, Figures>,
) {
  const make: Record<string, (folder: string) => BackupProgram> = { holdfast, restic, borg };
  const programs = names.map((name) => (make[name] as (folder: string) => BackupProgram)(join(folder, name)));
  const of = (program: BackupProgram) => figures.get(program.name) as Figures;
  // The same name before and after: the programs remember files by their names.
  const path = join(folder, "disk.img");
  linkSync(image, path);
  for (const program of programs) {
    await program.prepare();
    of(program).first.push(await timedWarm(path, () => program.backUp(path)));
    of(program).storedBytes = program.storedBytes();
  }
  await withChurn(image, async (_, ranges) => {
    const changedFile = join(folder, "changed");
    writeFileSync(changedFile, ranges.map(({ offset, length }) => `${offset} ${length}\n`).join(""));
    for (const program of programs) {
      of(program).second.push(await timedWarm(path, () => program.backUp(path, changedFile)));
      of(program).addedBytes = program.storedBytes() - of(program).storedBytes;
    }
    const digest = await digestOf(path);
    for (const program of programs.filter(({ name }) => name !== "borg")) {
      const target = join(folder, `${program.name}-restored`);
      mkdirSync(target);
      let restored = "";
      of(program).restore.push(
        await timedWarm(path, async () => {
          of(program).restoreEnded.push(
            await timed(async () => {
              restored = await program.restore(target);
            }),
          );
          await syncFile(restored);
        }),
      );
      of(program).isEqual = (await digestOf(restored)) === digest;
      rmSync(target, { recursive: true });
    }
  });
}

function describe(figures: ReadonlyMap<string, Figures>): BenchRow[] {
  const mine = figures.get("holdfast") as Figures;
  const theirs = [...figures].filter(([name]) => name !== "holdfast");
  const noteOf = (step: "first" | "second" | "restore" | "restoreEnded") =>
    [...figures]
      .filter(([, { [step]: seconds }]) => seconds.length > 0)
      .map(([name, { [step]: seconds }]) => `${name} ${listed(seconds)} s`)
      .join(", ");
  const quickest = (step: "first" | "second") => Math.min(...theirs.map(([, { [step]: seconds }]) => median(seconds)));
  const lacksPeer = lacks("restic") ?? lacks("borg");
  const first = "first backup, times the faster of restic and borg";
  const second = "incremental, times faster than the faster of both";
  const both: BenchRow[] = lacksPeer
    ? [first, second].map((name) => ({ name, skipped: lacksPeer }))
    : [
        {
          name: first,
          figure: round(median(mine.first) / quickest("first")),
          unit: "x",
          bar: { atMost: 1 },
          note: noteOf("first"),
        },
        {
          name: second,
          figure: round(quickest("second") / median(mine.second)),
          unit: "x",
          bar: { atLeast: 4 },
          note: noteOf("second"),
        },
      ];
  const restoreNote = `${noteOf("restore")}; until the program ended: ${noteOf("restoreEnded")}`;
  return [...both, ...describeAgainstRestic(mine, figures.get("restic"), restoreNote)];
}

function describeAgainstRestic(mine: Figures, theirs: Figures | undefined, restoreNote: string): BenchRow[] {
  const equal: BenchRow = {
    ...{ name: "restored image equals its source", figure: mine.isEqual ? 1 : 0, unit: "(1 = yes)" },
    bar: { atLeast: 1 },
  };
  const [stored, added, restored] = [
    "stored by the first backup, times restic's",
    "added by the incremental, times restic's",
    "restore until it is on the disk, times restic's",
  ] as const;
  if (!theirs) {
    const skipped = `${lacks("restic")}`;
    return [...[stored, added, restored].map((name) => ({ name, skipped })), equal];
  }
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return [
    {
      ...{ name: stored, figure: round(mine.storedBytes / theirs.storedBytes), unit: "x", bar: { atMost: 1.05 } },
      note: `${mib(mine.storedBytes)} and ${mib(theirs.storedBytes)}`,
    },
    {
      ...{ name: added, figure: round(mine.addedBytes / theirs.addedBytes), unit: "x", bar: { atMost: 1 } },
      note: `${mib(mine.addedBytes)} and ${mib(theirs.addedBytes)}`,
    },
    {
      ...{ name: restored, figure: round(median(mine.restore) / median(theirs.restore)), unit: "x" },
      ...{ bar: { atMost: 1 }, note: restoreNote },
    },
    equal,
  ];
}
