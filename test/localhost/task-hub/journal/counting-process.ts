// A process that counts into a journal as fast as it can, on many counters at once, with one checkpoint after another
// if it is told so, and says on its output what was acknowledged: `ack <counter> <count>`. Started to be killed, or with a
// limit on its files. Arguments: folder, bytes of a segment, "checkpoints".

import { CountingOwner } from "./counting-owner.ts";

const [folder, segmentBytes, checkpoints] = process.argv.slice(2);
const owner = await CountingOwner.open(folder as string, Number(segmentBytes));
for (const finding of owner.findings) process.stdout.write(`found ${finding.kind} ${finding.bytes}\n`);

async function keepCounting(name: string, padding: string): Promise<void> {
  for (;;) {
    const durable = owner.count(name, padding);
    const count = owner.counts.get(name);
    await durable;
    // Waits until the system has it: what is only queued in this process is lost with it.
    await new Promise((resolve) => process.stdout.write(`ack ${name} ${count}\n`, resolve));
  }
}

async function keepCheckpointing(): Promise<void> {
  for (;;) {
    await owner.checkpoint((restated) => (restated % 3 === 0 ? owner.journal.barrier() : undefined));
    process.stdout.write("checkpoint\n");
  }
}

const counters = Array.from({ length: 10 }, (_, n) =>
  keepCounting(`counter-${n}`, "x".repeat(n === 0 ? 100_000 : n * 100)),
);
try {
  await Promise.all(checkpoints === undefined ? counters : [...counters, keepCheckpointing()]);
} catch (failure) {
  // Once broken it must stay so, for everybody, and must have told its owner once.
  const later = await owner.count("later").catch((error: unknown) => error);
  const barrier = await owner.journal.barrier().catch((error: unknown) => error);
  await owner.journal.close();
  const told = owner.broken.length === 1 && owner.broken[0] === failure && later === failure && barrier === failure;
  process.stdout.write(`broken ${told} ${(failure as { code: string }).code} ${(failure as Error).message}\n`);
}
