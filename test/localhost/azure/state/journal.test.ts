import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Journal } from "../../../../localhost/azure/state/journal.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "azure-journal-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function openAndRead(): Promise<{ journal: Journal; texts: string[] }> {
  const texts: string[] = [];
  const journal = await Journal.open(folder, (payload) => texts.push(payload.toString()));
  return { journal, texts };
}

async function contents(): Promise<string[]> {
  const { journal, texts } = await openAndRead();
  await journal.close();
  return texts;
}

async function written(...texts: string[]): Promise<string> {
  const { journal } = await openAndRead();
  await Promise.all(texts.map((text) => journal.append(Buffer.from(text))));
  await journal.close();
  return join(folder, "state-0.journal");
}

describe("the journal", () => {
  it("gives back what was appended, in order, however it was grouped", async () => {
    const texts = Array.from({ length: 500 }, (_, index) => `entry ${index} ${"x".repeat((index * 37) % 3000)}`);
    await written(...texts.slice(0, 250));
    await written(...texts.slice(250));
    expect(await contents()).toEqual(texts);
  });

  it("cuts off a torn tail at every length, and goes on after what was whole", async () => {
    const path = await written("first", "second");
    const whole = await readFile(path);
    for (let length = whole.length - 1; length > whole.length - 14; length -= 1) {
      await writeFile(path, whole.subarray(0, length));
      expect(await contents()).toEqual(["first"]);
      await written("third");
      expect(await contents()).toEqual(["first", "third"]);
    }
    await truncate(path, 3);
    expect(await contents()).toEqual([]);
  });

  it("stops at a frame that was damaged, and at noise", async () => {
    const path = await written("first", "second");
    await appendFile(path, Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
    expect(await contents()).toEqual(["first", "second"]);
    const bytes = await readFile(path);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await writeFile(path, bytes);
    expect(await contents()).toEqual(["first"]);
  });

  it("can be rewritten, and a rewriting that was cut short leaves the old one standing", async () => {
    await written("old", "older");
    await writeFile(join(folder, "state-1.journal.new"), "half a rewriting");
    const { journal, texts } = await openAndRead();
    expect(texts).toEqual(["old", "older"]);
    await journal.rewrite(() => [Buffer.from("short")]);
    await journal.append(Buffer.from("more"));
    await journal.close();
    expect(await contents()).toEqual(["short", "more"]);
    expect((await readdir(folder)).filter((name) => name.endsWith(".journal"))).toEqual(["state-1.journal"]);
    await writeFile(join(folder, "state-0.journal"), "left over from before the rewriting");
    expect(await contents()).toEqual(["short", "more"]);
  });

  it("keeps everything that is appended while it is rewritten, once and in order", async () => {
    const { journal } = await openAndRead();
    const kept: string[] = [];
    const append = (text: string) => {
      kept.push(text);
      return journal.append(Buffer.from(text));
    };
    const appended = Array.from({ length: 50 }, (_, index) => append(`before ${index}`));
    // What the state is when the list is made is what was appended until then.
    const rewritten = journal.rewrite(() => kept.map((text) => Buffer.from(text)));
    let isOver = false;
    void rewritten.then(() => {
      isOver = true;
    });
    for (let index = 0; !isOver || index < 20; index += 1) {
      appended.push(append(`meanwhile ${index}`));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(appended);
    await journal.close();
    expect(await contents()).toEqual(kept);
  });

  it("settles at once when nothing is under way, and otherwise after what was appended before", async () => {
    const { journal } = await openAndRead();
    await journal.settled();
    const order: string[] = [];
    const first = journal.append(Buffer.alloc(1024 * 1024, 1)).then(() => order.push("first"));
    const second = journal.append(Buffer.from("second")).then(() => order.push("second"));
    const settled = journal.settled().then(() => order.push("settled"));
    await Promise.all([first, second, settled]);
    expect(order).toEqual(["first", "second", "settled"]);
    await journal.close();
  });
});
