// Regions as clients write them ("West Europe", "westeurope"), made one.
import { z } from "zod";

export const locationSchema = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9 ]{0,60}$/, "not a location")
  .transform((location) => location.toLowerCase().replaceAll(" ", ""));
