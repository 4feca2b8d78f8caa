import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { renderVmId } from "../../../src/domain/arm-ids.ts";
import { isItemId, itemIdOf } from "../../../src/domain/item-id.ts";

const SUB = "11111111-2222-3333-4444-555555555555";
const VM = `/subscriptions/${SUB}/resourceGroups/Shop-RG/providers/Microsoft.Compute/virtualMachines/Web-1`;

const groupName = fc.stringMatching(/^[A-Za-z0-9_.()-]{0,20}[A-Za-z0-9]$/);
const vmName = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/);
const platform = fc.constantFrom("ResourceManager" as const, "Classic" as const);
const mixedCase = (text: string, bits: readonly boolean[]) =>
  [...text].map((letter, at) => (bits[at % bits.length] ? letter.toUpperCase() : letter.toLowerCase())).join("");
const bits = fc.array(fc.boolean(), { minLength: 7, maxLength: 7 });

describe("an item's id in the vault", () => {
  it("fits for any machine, is the same in any case, and differs between machines", () => {
    fc.assert(
      fc.property(groupName, vmName, platform, bits, (resourceGroup, name, of, cases) => {
        const id = renderVmId({ subscriptionId: SUB, resourceGroup, platform: of, name });
        expect(isItemId(itemIdOf(id))).toBe(true);
        expect(itemIdOf(mixedCase(id, cases))).toBe(itemIdOf(id));
        const elsewhere = renderVmId({ subscriptionId: SUB, resourceGroup: `${resourceGroup}x`, platform: of, name });
        expect(itemIdOf(elsewhere)).not.toBe(itemIdOf(id));
      }),
    );
  });

  it("begins with the machine's name", () => {
    expect(itemIdOf(VM)).toMatch(/^web-1-[0-9a-f]{20}$/);
    expect(itemIdOf(VM.replace("Web-1", "___"))).toMatch(/^[0-9a-f]{20}$/);
  });

  it.each(["", "-a", "a-", "A", "a_b", "con", "lpt1", "a".repeat(65)])("is not: %s", (text) => {
    expect(isItemId(text)).toBe(false);
  });
});
