import { describe } from "vitest";
import { tableStoreContract } from "../contracts/table-store.contract.ts";
import { MemoryTableStore } from "./memory-table-store.ts";

describe("Rows in memory", () => {
  tableStoreContract(async () => new MemoryTableStore());
});
