/** Write one event as a JSON object to standard output, so that people and programs can follow. */
export function log(event: string, fields: object = {}): void {
  const line = { time: new Date(), event, ...fields };
  // int64 is a bigint, written as a JSON number here: no value exceeds 2^53.
  console.log(JSON.stringify(line, (_, value: unknown) => (typeof value === "bigint" ? Number(value) : value)));
}

/** A signal that is aborted by SIGINT, SIGTERM or `stop`. */
export function untilStopped(): { signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const stop = () => controller.abort();
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  return { signal: controller.signal, stop };
}
