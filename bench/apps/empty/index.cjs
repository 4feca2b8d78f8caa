// An app without functions: what the host itself needs to start.

require("@azure/functions");
