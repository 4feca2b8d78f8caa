import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  armIdKey,
  parseContainerName,
  parseDiskId,
  parseItemName,
  parseResourceGroupId,
  parseVaultId,
  parseVmId,
  renderContainerName,
  renderContainerProperty,
  renderDiskId,
  renderItemName,
  renderResourceGroupId,
  renderVaultId,
  renderVmId,
  sameArmId,
  vmTypeOf,
} from "../../../src/domain/arm-ids.ts";

const SUB = "11111111-2222-3333-4444-555555555555";
const VM = `/subscriptions/${SUB}/resourceGroups/Shop-RG/providers/Microsoft.Compute/virtualMachines/Web-1`;

const groupName = fc.stringMatching(/^[A-Za-z0-9_.()-]{0,20}[A-Za-z0-9]$/);
const vmName = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/);
const platform = fc.constantFrom("ResourceManager" as const, "Classic" as const);
const mixedCase = (text: string, bits: readonly boolean[]) =>
  [...text].map((letter, at) => (bits[at % bits.length] ? letter.toUpperCase() : letter.toLowerCase())).join("");
const bits = fc.array(fc.boolean(), { minLength: 7, maxLength: 7 });

describe("resource ids", () => {
  it("are read in any case, and give back the names as they were written", () => {
    fc.assert(
      fc.property(groupName, vmName, platform, bits, (resourceGroup, name, of, cases) => {
        const parts = { subscriptionId: SUB, resourceGroup, platform: of, name };
        const id = renderVmId(parts);
        expect(parseVmId(id)).toEqual(parts);
        const shouted = mixedCase(id, cases);
        expect(sameArmId(id, shouted)).toBe(true);
        expect(armIdKey(renderVmId(parseVmId(shouted)))).toBe(armIdKey(id));
      }),
    );
  });

  it("are rendered with the words that clients look for", () => {
    expect(renderVmId(parseVmId(VM.toLowerCase()))).toBe(
      `/subscriptions/${SUB}/resourceGroups/shop-rg/providers/Microsoft.Compute/virtualMachines/web-1`,
    );
    const classic = { subscriptionId: SUB, resourceGroup: "g", platform: "Classic" as const, name: "v" };
    expect(renderVmId(classic)).toContain("/Microsoft.ClassicCompute/virtualMachines/");
    expect(vmTypeOf("Classic")).toBe("Microsoft.ClassicCompute/virtualMachines");
  });

  it("of vaults, disks and groups are read as they are rendered, with doubled and trailing slashes", () => {
    const named = { subscriptionId: SUB, resourceGroup: "g", name: "n" };
    expect(parseVaultId(`${renderVaultId(named).replace("/vaults/", "//vaults//")}/`)).toEqual(named);
    expect(parseDiskId(renderDiskId(named))).toEqual(named);
    const group = { subscriptionId: SUB, resourceGroup: "g" };
    expect(parseResourceGroupId(renderResourceGroupId(group))).toEqual(group);
  });

  it.each([
    "",
    "web-1",
    `/subscriptions/${SUB}/resourceGroups/g`,
    VM.replace("virtualMachines", "disks"),
    `${VM}/extensions/x`,
    VM.replace("/providers", ""),
  ])("of something else are refused: %s", (text) => {
    expect(() => parseVmId(text)).toThrow(expect.objectContaining({ kind: "invalid" }));
  });
});

describe("names of containers and items", () => {
  it("are read as clients send them: any case, without the leading kind, encoded", () => {
    fc.assert(
      fc.property(groupName, vmName, platform, bits, (group, name, of, cases) => {
        const vm = { platform: of, group, name };
        const [container, item] = [renderContainerName(vm), renderItemName(vm)];
        expect(parseContainerName(container)).toEqual(vm);
        expect(parseItemName(item)).toEqual(vm);
        expect(parseContainerName(renderContainerProperty(vm))).toEqual(vm);
        expect(parseItemName(item.replaceAll(";", "%3B"))).toEqual(vm);
        const shouted = parseItemName(mixedCase(item, cases));
        expect([shouted.group.toLowerCase(), shouted.name.toLowerCase()]).toEqual([
          group.toLowerCase(),
          name.toLowerCase(),
        ]);
        expect(shouted.platform).toBe(of);
      }),
    );
  });

  it("are spelled as az takes them apart", () => {
    const vm = { platform: "ResourceManager" as const, group: "g", name: "v" };
    expect(renderContainerName(vm)).toBe("IaasVMContainer;iaasvmcontainerv2;g;v");
    expect(renderItemName({ ...vm, platform: "Classic" })).toBe("VM;iaasvmcontainer;g;v");
  });

  it.each([
    "",
    "vm;iaasvmcontainerv2;g",
    "vm;iaasvmcontainerv2;g;v;w",
    "SQL;iaasvmcontainerv2;g;v",
    "vm;storage;g;v",
    "vm;iaasvmcontainerv2;;v",
  ])("of something else are refused: %s", (text) => {
    expect(() => parseItemName(text)).toThrow(
      expect.objectContaining({ code: "BMSUserErrorInvalidConfigureProtectionRequest" }),
    );
  });
});
