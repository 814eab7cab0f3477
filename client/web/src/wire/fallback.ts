import type { OpenSocket } from "./environment";

/** Handshakes that fail one after another before the other way is tried. */
const FAILURES = 2;

/**
 * Opens sockets the second way while the first one does not work. Each time the second way ends, the first one gets
 * one attempt: a person who leaves a network that blocks WebSockets gets one again.
 */
export function withFallback(first: OpenSocket, second: OpenSocket): OpenSocket {
  let failures = 0;
  return (events) => {
    if (failures >= FAILURES) {
      failures = FAILURES - 1;
      return second(events);
    }
    let opened = false;
    return first({
      ...events,
      opened: () => {
        opened = true;
        failures = 0;
        events.opened();
      },
      closed: (code, reason) => {
        failures += opened ? 0 : 1;
        events.closed(code, reason);
      },
      received: (text) => events.received(text),
    });
  };
}
