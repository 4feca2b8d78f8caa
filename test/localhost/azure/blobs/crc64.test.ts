import { StorageCRC64Calculator } from "@azure/storage-common";
import { describe, expect, it } from "vitest";
import { crc64 } from "../../../../localhost/azure/blobs/crc64.ts";

describe("crc64", () => {
  it("agrees with the official client's own calculator, whatever the length and the cuts", async () => {
    await StorageCRC64Calculator.init();
    const bytes = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 31 + (index >> 3)) & 255));
    for (const length of [1, 7, 8, 9, 511, 512, 4097, 5000]) {
      const body = bytes.subarray(0, length);
      const expected = Buffer.from(new StorageCRC64Calculator().final(body, length)).toString("base64");
      expect(crc64([body]).toString("base64")).toBe(expected);
      expect(crc64([body.subarray(0, 3), body.subarray(3)]).toString("base64")).toBe(expected);
    }
  });
});
