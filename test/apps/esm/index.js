// An ECMAScript module app that uses every hook around a function, and says in its answers what it saw.

import { app } from "@azure/functions";

const seen = [];
app.hook.appStart(() => {
  seen.push("appStart");
});
app.hook.preInvocation(() => {
  seen.push("pre");
});
app.hook.postInvocation((context) => {
  seen.push("post");
  if (context.error?.message === "cure me") {
    context.error = null;
    context.result = { body: "cured" };
  }
});

app.http("seen", { handler: () => ({ jsonBody: [...seen] }) });
app.http("cured", {
  handler: () => {
    throw new Error("cure me");
  },
});
