// A CommonJS app with one orchestration for each thing that Durable Functions promises, and HTTP functions that use the
// real durable client.

require("./src/activities.cjs");
require("./src/client-functions.cjs");
require("./src/http-functions.cjs");
require("./src/calls.cjs");
require("./src/waiting.cjs");
require("./src/children.cjs");
require("./src/retries.cjs");
require("./src/generations.cjs");
require("./src/failures.cjs");
require("./src/replays.cjs");
require("./src/entities.cjs");
require("./src/http-calls.cjs");
require("./src/mistakes.cjs");
require("./src/crash-mix.cjs");
