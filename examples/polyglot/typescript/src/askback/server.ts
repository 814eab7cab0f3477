import type { Interceptor, Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { parseArgs } from "node:util";

/** The address of the server and the identity of the caller. */
export class Server {
  constructor(
    /** `http://host:port`, or `https://` for TLS. */
    readonly url: string,
    /** Names the caller to a server that runs without authentication. */
    readonly user = "",
    private readonly token = "",
  ) {}

  /** `--server` and `--user`; a token is a secret, so it comes only from the environment. */
  static fromArguments(): Server {
    const { values } = parseArgs({ options: { server: { type: "string" }, user: { type: "string" } } });
    const target = values.server ?? process.env["ASKBACK_SERVER"] ?? "127.0.0.1:50051";
    const url = target.includes("://") ? target : `http://${target}`;
    const token = process.env["ASKBACK_TOKEN"] ?? "";
    if (token && url.startsWith("http://")) {
      throw new Error("a token goes over TLS only: give --server https://…");
    }
    return new Server(url, values.user, token);
  }

  /** Open a new connection; `close` ends it with all its streams. */
  dial(): Connection {
    const manager = new Http2SessionManager(this.url, { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 });
    const transport = createGrpcTransport({
      baseUrl: this.url,
      sessionManager: manager,
      interceptors: [this.identify],
    });
    return { transport, close: () => manager.abort() };
  }

  private readonly identify: Interceptor = (next) => (request) => {
    if (this.token) request.header.set("authorization", `Bearer ${this.token}`);
    if (this.user) request.header.set("askback-user", this.user);
    return next(request);
  };
}

export interface Connection {
  transport: Transport;
  close(): void;
}
