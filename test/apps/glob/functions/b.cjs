require("@azure/functions").app.http("from-b", { handler: () => ({ body: "b" }) });
