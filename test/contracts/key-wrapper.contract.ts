// What every wrapping key promises (src/ports/key-wrapper.ts). One that cannot keep a promise would lose a vault.

import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import type { KeyWrapper } from "../../src/ports/key-wrapper.ts";

export interface WrapperFixture {
  readonly wrapper: KeyWrapper;
  /** The same key, opened anew, as another process would. */
  readonly again: KeyWrapper;
  /** Another key of the same kind. */
  readonly other: KeyWrapper;
}

export function keyWrapperContract(open: () => Promise<WrapperFixture>): void {
  const dataKey = randomBytes(32);

  it("gives back what it wrapped, to any process that has the key", async () => {
    const { wrapper, again } = await open();
    const wrapped = await wrapper.wrap(dataKey);
    for (const opened of [wrapper, again]) expect(Buffer.from(await opened.unwrap(wrapped)).equals(dataKey)).toBe(true);
  });

  it("says which key and which version of it wrapped, and nothing of what it wrapped", async () => {
    const { wrapper, again, other } = await open();
    const wrapped = await wrapper.wrap(dataKey);
    expect(wrapped).toMatchObject({ wrapperId: wrapper.id, version: expect.stringMatching(/./) });
    expect(again.id).toBe(wrapper.id);
    expect(other.id).not.toBe(wrapper.id);
    expect(wrapper.id).not.toContain(wrapped.version.padStart(8, "-"));
    expect(Buffer.from(wrapped.bytes).includes(dataKey.subarray(0, 8))).toBe(false);
  });

  it("never wraps to the same bytes twice", async () => {
    const { wrapper } = await open();
    const [first, second] = [await wrapper.wrap(dataKey), await wrapper.wrap(dataKey)];
    expect(Buffer.from(first.bytes).equals(second.bytes)).toBe(false);
  });

  it("answers denied to what another key wrapped, and to bytes that were changed, cut off or are gone", async () => {
    const { wrapper, other } = await open();
    const wrapped = await wrapper.wrap(dataKey);
    const changed = Uint8Array.from(wrapped.bytes);
    changed[changed.length >> 1] = (changed[changed.length >> 1] as number) ^ 1;
    for (const bytes of [changed, wrapped.bytes.subarray(0, -1), wrapped.bytes.subarray(0, 5), new Uint8Array()]) {
      await expect(wrapper.unwrap({ ...wrapped, bytes })).rejects.toMatchObject({ kind: "denied" });
    }
    await expect(wrapper.unwrap({ ...wrapped, algorithm: "rot13" })).rejects.toMatchObject({ kind: "denied" });
    await expect(other.unwrap(wrapped)).rejects.toMatchObject({ kind: "denied" });
  });
}
