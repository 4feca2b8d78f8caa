// The estates that come with the simulated Azure: a small company for demos and tests, and a thousand machines for scale.
import type { EstateInput } from "./estate-schema.ts";

const SUBSCRIPTION = "11111111-1111-1111-1111-111111111111";

const IMAGES = {
  "ubuntu-24.04": { generated: { seed: "ubuntu-24.04", sizeGiB: 4, allocatedMiB: 224 } },
  "windows-2022": { generated: { seed: "windows-2022", sizeGiB: 8, allocatedMiB: 320 } },
};

/** What a vault that lasts should ask of the keys it depends on. */
const PROTECTED_KEYS = { softDelete: true, purgeProtection: true };

/** Just under 2 GiB of content in all, much of it shared by relatives, so that first backups take seconds. */
export function defaultEstate(): EstateInput {
  return {
    subscriptions: [
      {
        id: SUBSCRIPTION,
        name: "Demo",
        groups: [
          {
            name: "demo",
            location: "westeurope",
            virtualMachines: [
              { name: "web-01", image: "ubuntu-24.04", workload: { kind: "web", bytesPerSecond: 32_768, seed: 1 } },
              {
                name: "db-01",
                os: "Windows",
                image: "windows-2022",
                size: "Standard_E8s_v5",
                dataDisks: [
                  { sizeGiB: 4, allocatedMiB: 96 },
                  { sizeGiB: 4, allocatedMiB: 64 },
                  { sizeGiB: 2, allocatedMiB: 32 },
                ],
                workload: { kind: "database", bytesPerSecond: 65_536, seed: 2 },
              },
              {
                name: "files-01",
                os: "Windows",
                image: "windows-2022",
                dataDisks: [{ sizeGiB: 8, allocatedMiB: 192 }],
                workload: { kind: "files", bytesPerSecond: 131_072, seed: 3 },
              },
              { name: "idle-01", image: "ubuntu-24.04", workload: { kind: "idle" }, freezeScripts: true },
            ],
            classicMachines: [
              {
                name: "classic-01",
                cloudService: "demo-classic",
                storageAccount: "democlassic",
                os: "Windows",
                image: "windows-2022",
              },
            ],
            storageAccounts: [{ name: "demostaging" }],
          },
          {
            name: "demo-north",
            location: "northeurope",
            virtualMachines: [
              {
                name: "web-north-01",
                image: "ubuntu-24.04",
                workload: { kind: "web", bytesPerSecond: 16_384, seed: 4 },
              },
            ],
          },
        ],
      },
    ],
    images: IMAGES,
    keyVault: PROTECTED_KEYS,
  };
}

/** A thousand machines; one in ten does something. They share two images, so they cost next to nothing. */
export function bigEstate(machines = 1000): EstateInput {
  const virtualMachines = Array.from({ length: machines }, (_, index) => {
    const windows = index % 3 === 2;
    const busy = index % 10 === 0;
    return {
      name: `vm-${String(index + 1).padStart(4, "0")}`,
      os: windows ? ("Windows" as const) : ("Linux" as const),
      image: windows ? "windows-2022" : "ubuntu-24.04",
      ...(index % 4 === 0 ? { dataDisks: [{ sizeGiB: 16 }] } : {}),
      ...(busy ? { workload: { kind: "web" as const, bytesPerSecond: 4096, seed: index } } : {}),
    };
  });
  return {
    subscriptions: [
      {
        id: SUBSCRIPTION,
        name: "Big",
        groups: [{ name: "big", location: "westeurope", virtualMachines, storageAccounts: [{ name: "bigstaging" }] }],
      },
    ],
    images: IMAGES,
    keyVault: PROTECTED_KEYS,
  };
}
