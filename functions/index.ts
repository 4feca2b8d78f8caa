// The entry point of the app, for Azure, for `func start` and for the embedded host alike: the list of what can wake
// the service. Each imported file registers its own triggers with `@azure/functions`.

import "./activities.ts";
import "./health.ts";
import "./orchestrations.ts";
import "./timers.ts";
import "./version.ts";
import { openService } from "../src/wiring.ts";
import { registerApi } from "./api.ts";

registerApi((workflow) => openService().api(workflow));
