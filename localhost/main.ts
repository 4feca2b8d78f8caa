// `npm start`: this project's own app on the embedded host, with all its state in one folder.

import { createServer } from "node:http";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: { port: { type: "string", default: "7071" }, data: { type: "string", default: ".holdfast" } },
});
const server = createServer((request, response) => {
  response.writeHead(request.url === "/healthz" ? 200 : 404, { "content-type": "application/json" });
  response.end(request.url === "/healthz" ? '{"status":"ok"}' : "");
});
server.listen(Number(options.port), "127.0.0.1", () => console.log(`Listening on http://127.0.0.1:${options.port}`));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(0));
