// Page lists as XML: PageRange and ClearRange in the order of the disk, ends inclusive. Pure.

export interface ListedRange {
  readonly start: number;
  readonly end: number;
  readonly cleared: boolean;
}

/** `next` is where the following page of the list begins, if there is one. */
export function pageListXml(ranges: readonly ListedRange[], next: number | undefined): string {
  const items = ranges.map(({ start, end, cleared }) => {
    const tag = cleared ? "ClearRange" : "PageRange";
    return `<${tag}><Start>${start}</Start><End>${end - 1}</End></${tag}>`;
  });
  const marker = next === undefined ? "" : `<NextMarker>${next}</NextMarker>`;
  return `\u{feff}<?xml version="1.0" encoding="utf-8"?><PageList>${items.join("")}${marker}</PageList>`;
}
