// All state as one value: what a test compares before and after, and what somebody looks at who wonders. Without secrets.
import { createHash } from "node:crypto";
import { MAX_PAGES, visitExtents } from "../disks/page-map.ts";
import type { Volume } from "../disks/volume-table.ts";
import type { AzureState } from "./azure-state.ts";

const SECRET = /^(secret|vault-key|signing-key)/;

export function inventoryOf(state: AzureState): Record<string, unknown> {
  const documents = [...state.documents()].map(([key, value]) => [key, SECRET.test(key) ? digestOf(value) : value]);
  return {
    // Every change is a record: a journal of the same length means that nothing has changed.
    journalBytes: state.journalBytes,
    documents: Object.fromEntries(documents),
    volumes: state.volumes.all().map(({ id, lineage, frozen, sizeBytes, ...volume }) => ({
      id,
      lineage,
      frozen,
      sizeBytes,
      extents: digestOf(extentsOf(volume)),
    })),
  };
}

function extentsOf({ map }: Pick<Volume, "map">): number[][] {
  const extents: number[][] = [];
  visitExtents(map, 0, MAX_PAGES, ({ start, end, source, at }) => {
    extents.push([start, end, source, at]);
    return true;
  });
  return extents;
}

function digestOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
