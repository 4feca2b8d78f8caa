// What "/" shows when no function claims it: a sign that the host is up, for people who open the address in a browser.

import type { Answer } from "./rpc-http.ts";

const HTML = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>The Functions host is running</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 34rem; padding: 0 1rem }</style>
<h1>Your Functions host is up and running</h1>
<p>The functions and their addresses are listed where the host was started, and at
<a href="/admin/functions">/admin/functions</a>.</p>
</html>
`;

export const HOME_PAGE: Answer = {
  status: 200,
  headers: ["content-type", "text/html; charset=utf-8", "content-length", String(Buffer.byteLength(HTML))],
  body: HTML,
};
