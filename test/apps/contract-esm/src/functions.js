// HTTP functions of an ECMAScript module app, with streaming.

import { Readable } from "node:stream";
import { app } from "@azure/functions";

app.setup({ enableHttpStream: true });

app.http("started-in", { handler: () => ({ body: globalThis.startedIn }) });
app.http("setting", { handler: () => ({ body: process.env.GREETING }) });
app.http("replaced", { handler: () => ({ body: "by the function" }) });
app.http("answered-by-hook", { handler: () => ({ body: "by the function" }) });
app.http("cured", {
  handler: () => {
    throw new Error("curable");
  },
});
app.http("fails-after", { handler: () => ({ body: "fine" }) });
app.http("says", {
  handler: async (request, context) => {
    context.log("said as usual");
    context.warn("hush");
    return { body: request.query.get("word") };
  },
});

app.http("count-bytes", {
  methods: ["POST"],
  handler: async (request) => {
    let count = 0;
    for await (const chunk of request.body) count += chunk.length;
    return { body: String(count) };
  },
});
app.http("drip", {
  methods: ["GET"],
  handler: () => ({
    headers: { "content-type": "text/plain" },
    body: Readable.from(
      (async function* () {
        for (const word of ["one ", "two ", "three"]) {
          yield word;
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      })(),
    ),
  }),
});
