import type { TabLocks } from "../model/tab";
import type { Clock, OpenSocket, TextStore } from "./environment";

/** The real clock, socket, storage, locks and random numbers. Only this file and `start.ts` use them. */

export const clock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

const SUBPROTOCOL = "askback.v1";

export const openSocket: OpenSocket = (events) => {
  const url = new URL("/converse", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url, SUBPROTOCOL);
  socket.onopen = () => events.opened();
  socket.onmessage = (event: MessageEvent<unknown>) => events.received(String(event.data));
  socket.onclose = (event) => events.closed(event.code, event.reason);
  return {
    send: (text) => {
      // A message for a socket that closes is lost: `onclose` follows, and what matters is sent again.
      if (socket.readyState === WebSocket.OPEN) {
        socket.send(text);
      }
    },
    close: () => socket.close(),
  };
};

/** The storage of this tab. Each use may throw: browsers can forbid it. */
export const tabStore: TextStore = {
  get: (key) => sessionStorage.getItem(key),
  set: (key, value) => sessionStorage.setItem(key, value),
  remove: (key) => sessionStorage.removeItem(key),
  keys: () => Object.keys(sessionStorage),
};

/** 128 random bits. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Web Locks; null where the browser has none, which is on plain http on another host than loopback. */
export function tabLocks(): TabLocks | null {
  const locks = globalThis.navigator?.locks as LockManager | undefined;
  if (!locks) {
    return null;
  }
  return {
    hold: (name, waitMs) =>
      new Promise((resolve) => {
        const signal = AbortSignal.timeout(waitMs);
        const forever = () => {
          resolve(true);
          return new Promise<void>(() => {});
        };
        // Refused after the time, and in a page that is ending.
        locks.request(name, { signal }, forever).catch(() => resolve(false));
      }),
  };
}
