// The api-version of a request. The service speaks one model for all of them; it must be there, and be one that a version
// of the provider could have.

import { HoldfastFailure } from "../base/failure.ts";

const FIRST = "2016-06-01";
const SHAPE = /^(\d{4}-\d\d-\d\d)(-[a-z]{1,20})?$/i;

export function parseApiVersion(text: string | undefined): string {
  if (text === undefined || text === "") {
    throw new HoldfastFailure("invalid", "MissingApiVersionParameter", "The api-version query parameter is required");
  }
  const date = SHAPE.exec(text)?.[1];
  if (date !== undefined && date >= FIRST && !Number.isNaN(Date.parse(date))) return text;
  throw new HoldfastFailure("invalid", "InvalidApiVersionParameter", `The api-version '${text}' is not valid`, {
    hint: `It is a date from ${FIRST} on, such as 2023-06-01.`,
  });
}
