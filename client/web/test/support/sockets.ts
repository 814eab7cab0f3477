import type { OpenSocket, SocketEvents } from "../../src/wire/environment";
import type { ConverseClientFrame, ConverseServerFrame } from "../../src/wire/messages";

/** A socket whose other end is the test. */
export class FakeSocket {
  readonly messages: string[] = [];
  closedByPage = false;
  readonly #events: SocketEvents;

  constructor(events: SocketEvents) {
    this.#events = events;
  }

  /** The frames that the page sent, in order. */
  get frames(): ConverseClientFrame[] {
    return this.messages.flatMap((text) => (JSON.parse(text) as { frames: ConverseClientFrame[] }).frames);
  }

  open(): void {
    this.#events.opened();
  }

  deliver(...frames: ConverseServerFrame[]): void {
    this.text(JSON.stringify({ frames }));
  }

  text(text: string): void {
    this.#events.received(text);
  }

  end(code: number, reason = ""): void {
    this.#events.closed(code, reason);
  }

  /** Opens, and is welcomed. */
  welcome(more: ConverseServerFrame["welcome"] = {}): void {
    this.open();
    this.deliver({
      welcome: { heartbeatInterval: "15s", maxInFlight: 4, maxMessageBytes: 100_000, ...more },
    });
  }

  caughtUp(resumeToken = "t1", openPrompts = 0): void {
    this.deliver({ promptEvent: { caughtUp: { resumeToken, openPrompts } } });
  }
}

/** The sockets that the page has opened. */
export class FakeNetwork {
  readonly sockets: FakeSocket[] = [];

  readonly openSocket: OpenSocket = (events) => {
    const socket = new FakeSocket(events);
    this.sockets.push(socket);
    return {
      send: (text) => socket.messages.push(text),
      close: () => {
        socket.closedByPage = true;
      },
    };
  };

  get last(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) {
      throw new Error("the page has opened no socket");
    }
    return socket;
  }
}
