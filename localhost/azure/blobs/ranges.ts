// Byte ranges of requests, with Azure's refusals. `end` is exclusive here; on the wire it is inclusive. Pure.
import { PAGE_BYTES } from "../disks/page-map.ts";
import { AzureError } from "../http/azure-error.ts";
import { type Call, headerOf } from "../http/call.ts";

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The range of a read, cut at the blob's end; nothing if none was asked. `x-ms-range` wins over `Range`, as in Azure. */
export function readRangeOf(call: Call, size: number): ByteRange | undefined {
  const asked = parse(call);
  if (asked === undefined) return undefined;
  if (asked.start >= size)
    throw new AzureError(416, "InvalidRange", "The range specified is invalid for the current size of the resource.", {
      headers: { "Content-Range": `bytes */${size}` },
    });
  return { start: asked.start, end: Math.min(asked.end, size) };
}

/** The range of a page write: given, closed, of whole pages, inside the blob. */
export function pageRangeOf(call: Call, size: number): ByteRange {
  const asked = parse(call);
  if (asked === undefined)
    throw new AzureError(
      400,
      "MissingRequiredHeader",
      "An HTTP header that's mandatory for this request is not specified: x-ms-range.",
    );
  const whole = asked.start % PAGE_BYTES === 0 && asked.end % PAGE_BYTES === 0;
  if (!whole || asked.end > size) throw new AzureError(416, "InvalidPageRange", "The page range specified is invalid.");
  return asked;
}

function parse(call: Call): ByteRange | undefined {
  const name = call.headers["x-ms-range"] === undefined ? "range" : "x-ms-range";
  const text = headerOf(call, name);
  if (text === undefined) return undefined;
  const [, start, end] = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(text.trim()) ?? [];
  const range = { start: Number(start), end: end === undefined ? Number.POSITIVE_INFINITY : Number(end) + 1 };
  if (start === undefined || range.end <= range.start)
    throw new AzureError(
      400,
      "InvalidHeaderValue",
      `The value for one of the HTTP headers is not in the correct format: ${name}.`,
    );
  return range;
}
