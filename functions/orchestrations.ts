// Registers every orchestration under its name.

import * as df from "durable-functions";
import { ORCHESTRATIONS } from "../orchestrations/catalog.ts";

for (const [name, orchestration] of Object.entries(ORCHESTRATIONS)) df.app.orchestration(name, orchestration);
