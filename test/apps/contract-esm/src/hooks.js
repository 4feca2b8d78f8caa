// Hooks of every sort, each of which only touches what asks for it by its name.

import { appendFileSync } from "node:fs";
import { app } from "@azure/functions";

app.hook.appStart(async () => {
  if (process.env.BREAK_AT_START) throw new Error("no connection to anything");
  await new Promise((resolve) => setTimeout(resolve, 5));
  globalThis.startedIn = process.env.AzureWebJobsScriptRoot;
});

app.hook.preInvocation((context) => {
  const { functionName } = context.invocationContext;
  context.hookData.startedBy = functionName;
  if (functionName === "times-ten") context.inputs = [context.inputs[0] * 10];
  if (functionName === "replaced") context.functionHandler = () => ({ body: "by the hook" });
});

app.hook.postInvocation((context) => {
  const { functionName } = context.invocationContext;
  if (functionName === "answered-by-hook") {
    context.result = { body: `${context.result.body}, and then by the hook of ${context.hookData.startedBy}` };
  }
  if (context.error?.message === "curable") {
    context.error = null;
    context.result = functionName === "cured-activity" ? "cured" : { body: "cured" };
  }
  if (functionName === "fails-after") throw new Error("thrown by a hook");
});

const logged = [];
app.hook.log((context) => {
  if (context.category !== "user") return;
  logged.push({
    level: context.level,
    message: context.message,
    functionName: context.invocationContext?.functionName,
  });
  if (context.message === "hush") {
    context.level = "debug";
    context.message = "hushed by the hook";
  }
});
app.http("logged", { handler: () => ({ jsonBody: logged }) });

app.hook.appTerminate(() => {
  if (process.env.TERMINATED_FILE) appendFileSync(process.env.TERMINATED_FILE, "terminated\n");
});
