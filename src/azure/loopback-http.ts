// Azure's clients refuse to send a token over plain http, and rightly so. The simulated Azure on this machine speaks only
// that. So its clients are told https, with all their policies in place, and the last step before the socket speaks http:
// for loopback addresses, and for nothing else.

import { createDefaultHttpClient, type HttpClient } from "@azure/core-rest-pipeline";

/** A URL as a client of Azure takes it, and what else that client needs to reach it. */
export interface Reach {
  readonly url: string;
  readonly isLoopback: boolean;
  readonly httpClient?: HttpClient;
}

export function reach(url: string): Reach {
  const { protocol, hostname } = new URL(url);
  const isLoopback = protocol === "http:" && isLoopbackHost(hostname);
  if (!isLoopback) return { url, isLoopback };
  return { url: url.replace(/^http:/i, "https:"), isLoopback, httpClient: loopbackClient() };
}

/** By address, not by what a name resolves to: a name may be somebody else's tomorrow. */
export function isLoopbackHost(hostname: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i.test(hostname);
}

function loopbackClient(): HttpClient {
  const real = createDefaultHttpClient();
  return {
    sendRequest(request) {
      const url = new URL(request.url);
      if (isLoopbackHost(url.hostname)) {
        request.url = request.url.replace(/^https:/i, "http:");
        request.allowInsecureConnection = true;
      }
      return real.sendRequest(request).finally(() => {
        // A policy that sends the same request again must find it as it was.
        request.url = request.url.replace(/^http:/i, "https:");
      });
    },
  };
}
