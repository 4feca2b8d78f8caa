// Plain HTTP functions.

const { app } = require("@azure/functions");

const tell = (text) => (request) => ({ jsonBody: { text, params: request.params } });

app.http("by-number", { route: "things/{id:int}", methods: ["GET"], handler: tell("number") });
app.http("by-word", { route: "things/{word:alpha:maxlength(5)}", methods: ["GET"], handler: tell("word") });
app.http("optional", { route: "optional/{a}/{b?}", methods: ["GET"], handler: tell("optional") });
app.http("default-value", { route: "defaults/{page=first}", methods: ["GET"], handler: tell("default") });
app.http("rest", { route: "rest/{*path}", methods: ["GET"], handler: tell("rest") });
// Functions are asked in the order of their names: a-catch-all comes before b-exact.
app.http("a-catch-all", { route: "order/{*path}", methods: ["GET"], handler: tell("catch-all") });
app.http("b-exact", { route: "order/exact", methods: ["GET"], handler: tell("exact") });

app.http("query", {
  methods: ["GET"],
  handler: (request) => ({ jsonBody: Object.fromEntries(request.query) }),
});

app.http("cookies", {
  methods: ["GET"],
  handler: () => ({
    body: "baked",
    cookies: [
      { name: "plain", value: "1" },
      {
        name: "full",
        value: "two words",
        path: "/api",
        domain: "localhost",
        maxAge: 60,
        expires: new Date(Date.UTC(2030, 0, 2, 3, 4, 5)),
        httpOnly: true,
        secure: true,
        sameSite: "Strict",
      },
    ],
  }),
});

app.http("bytes", {
  methods: ["POST"],
  handler: async (request) => ({
    body: new Uint8Array(await request.arrayBuffer()).reverse(),
    headers: { "content-type": "application/octet-stream" },
  }),
});

app.http("nothing-to-say", { methods: ["GET"], handler: () => {} });
app.http("no-content", { methods: ["GET"], handler: () => ({ status: 204 }) });
app.http("broken", {
  methods: ["GET"],
  handler: () => {
    throw new Error("a secret of the server");
  },
});

app.http("guarded", { methods: ["GET"], authLevel: "function", handler: () => ({ body: "opened" }) });
app.http("for-admins", { methods: ["GET"], authLevel: "admin", handler: () => ({ body: "opened" }) });
