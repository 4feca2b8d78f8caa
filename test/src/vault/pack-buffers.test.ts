import { expect, it } from "vitest";
import { PackBuffers } from "../../../src/vault/pack-writer.ts";

it("There are three buffers for packs at a time; whoever wants a fourth gets the next that is given back", async () => {
  const buffers = new PackBuffers();
  const taken = await Promise.all([buffers.take(), buffers.take(), buffers.take()]);
  const order: string[] = [];
  const fourth = buffers.take().then((buffer) => {
    order.push("fourth");
    return buffer;
  });
  const fifth = buffers.take().then((buffer) => {
    order.push("fifth");
    return buffer;
  });
  await Promise.resolve();
  expect(order).toEqual([]);
  buffers.giveBack(taken[1] as Buffer);
  expect(await fourth).toBe(taken[1]);
  expect(order).toEqual(["fourth"]);
  buffers.giveBack(taken[0] as Buffer);
  expect(await fifth).toBe(taken[0]);
});

it("Buffers for packs are used again until they are released", async () => {
  const buffers = new PackBuffers();
  const first = await buffers.take();
  buffers.giveBack(first);
  expect(await buffers.take()).toBe(first);
  buffers.giveBack(first);
  buffers.release();
  const second = await buffers.take();
  expect(second).not.toBe(first);
  expect(first.length).toBe(0);
  expect(second.length).toBeGreaterThan(0);
});
