// Where an estate comes from: a built-in name (`default`, `big`) or a file in YAML or JSON.
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { z } from "zod";
import { HoldfastFailure, messageOf } from "../../../src/base/failure.ts";
import { bigEstate, defaultEstate } from "./built-in-estates.ts";
import { type Estate, type EstateInput, estateSchema } from "./estate-schema.ts";

export async function readEstate(nameOrPath: string): Promise<{ estate: Estate; path: string | undefined }> {
  if (nameOrPath === "default") return { estate: checkedEstate(defaultEstate()), path: undefined };
  if (nameOrPath === "big") return { estate: checkedEstate(bigEstate()), path: undefined };
  return { estate: checkedEstate(await parseFile(nameOrPath)), path: nameOrPath };
}

export function checkedEstate(input: EstateInput | unknown): Estate {
  const result = estateSchema.safeParse(input);
  if (result.success) return result.data;
  throw new HoldfastFailure("invalid", "EstateInvalid", `The estate is not valid:\n${z.prettifyError(result.error)}`, {
    hint: "docs/simulated-azure.md describes the estate file.",
  });
}

async function parseFile(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new HoldfastFailure("not-found", "EstateNotFound", `The estate file ${path} cannot be read`, {
      hint: "Built-in estates are: default, big.",
      cause,
    });
  });
  try {
    return parse(text);
  } catch (cause) {
    throw new HoldfastFailure(
      "invalid",
      "EstateInvalid",
      `The estate file ${path} is neither YAML nor JSON: ${messageOf(cause)}`,
      { cause },
    );
  }
}
