require("@azure/functions").app.http("from-a", { handler: () => ({ body: "a" }) });
