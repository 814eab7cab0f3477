interface ServerEvent {
  /** "message", or what `event:` says. */
  readonly name: string;
  readonly data: string;
  /** Empty: none was sent with it. */
  readonly id: string;
}

/** Reads server-sent events from pieces of text, wherever they are cut. */
export class EventParser {
  #rest = "";
  #name = "";
  #id = "";
  #data: string[] = [];

  feed(text: string): readonly ServerEvent[] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.#line(line.endsWith("\r") ? line.slice(0, -1) : line));
  }

  #line(line: string): readonly ServerEvent[] {
    if (line === "") {
      const event = { name: this.#name || "message", data: this.#data.join("\n"), id: this.#id };
      const complete = this.#data.length > 0;
      this.#name = "";
      this.#id = "";
      this.#data = [];
      return complete ? [event] : [];
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "data") {
      this.#data.push(value ?? "");
    } else if (field === "event") {
      this.#name = value ?? "";
    } else if (field === "id") {
      this.#id = value ?? "";
    }
    return [];
  }
}
