import type { Fetch } from "../../src/wire/unary";
import { settle } from "./clock";

/** A gateway whose streams the test writes. */
export class FakeGateway {
  readonly asked: { path: string; position: string }[] = [];
  refusal: Response | null = null;
  #streams: ReadableStreamDefaultController<Uint8Array>[] = [];

  readonly fetch: Fetch = async (path, init) => {
    const headers = new Headers(init.headers);
    this.asked.push({ path, position: headers.get("last-event-id") ?? "" });
    if (this.refusal) {
      return this.refusal;
    }
    return new Response(
      new ReadableStream<Uint8Array>({
        start: (controller) => {
          this.#streams.push(controller);
          init.signal?.addEventListener("abort", () => controller.error(new Error("aborted")));
        },
      }),
    );
  };

  async write(text: string): Promise<void> {
    this.#streams.at(-1)?.enqueue(new TextEncoder().encode(text));
    await settle();
    await settle();
  }

  async message(id: string, data: object): Promise<void> {
    await this.write(`${id ? `id: ${id}\n` : ""}data: ${JSON.stringify(data)}\n\n`);
  }

  async end(): Promise<void> {
    this.#streams.at(-1)?.close();
    await settle();
    await settle();
  }
}
