import { describe } from "vitest";
import { objectStoreContract } from "../../contracts/object-store.contract.ts";
import { MemoryStore } from "../../support/memory-store.ts";

describe("The object store of tests", () => {
  objectStoreContract(async () => new MemoryStore("memory", { pageSize: 2 }));
});
