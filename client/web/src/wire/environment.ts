/**
 * What the state machines need of the browser. Tests drive them with fake time and scripted sockets; `browser.ts`
 * has the real ones.
 */

export interface Clock {
  /** Milliseconds since an arbitrary start. Never goes back; may stand still while the machine sleeps. */
  now(): number;
  /** Unix time in ms by the machine's clock. People and time servers set it, so it may jump. */
  wall(): number;
  /** Runs the function once after `ms`, and returns a function that cancels it. */
  after(ms: number, run: () => void): () => void;
}

/** A number from 0 to below 1. */
export type Random = () => number;

export interface SocketEvents {
  opened(): void;
  received(text: string): void;
  /** Comes once, also for a socket that could not be opened. */
  closed(code: number, reason: string): void;
}

export interface Socket {
  send(text: string): void;
  close(): void;
}

export type OpenSocket = (events: SocketEvents) => Socket;

/** The part of `Storage` that is used. Each method may throw: storage may be full or forbidden. */
export interface TextStore {
  get(key: string): string | null;
  set(key: string, value: string): void;
  remove(key: string): void;
  keys(): readonly string[];
}
