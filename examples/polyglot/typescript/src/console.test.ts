// A console that moves to its next stream: what the old one still sends may be of another access.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Console } from "./askback/console.js";
import type { Server } from "./askback/server.js";
import { ConverseServerFrameSchema, type PromptEventSchema } from "./gen/askback/v1/hitl_service_pb.js";

const welcome = create(ConverseServerFrameSchema, { body: { case: "welcome", value: {} } });

function event(event: MessageInitShape<typeof PromptEventSchema>["event"]) {
  return create(ConverseServerFrameSchema, { body: { case: "promptEvent", value: { event } } });
}

const removed = event({ case: "removed", value: { promptId: "p", version: 9n } });

function bookmark(resumeToken: string) {
  return event({ case: "bookmark", value: { resumeToken } });
}

function tokenOf(console: Console): string {
  const { body } = console.hello();
  return body.case === "hello" ? body.value.resumeToken : "none";
}

/** A console with one prompt, whose next stream has said hello at the token "t1". */
function movingConsole(): Console {
  const console = new Console({} as Server, "c", 0);
  console.hello();
  console.welcomed(welcome);
  console.pushed(event({ case: "upserted", value: { prompt: { promptId: "p", version: 1n } } }));
  console.pushed(bookmark("t1"));
  assert.equal(tokenOf(console), "t1");
  console.pushed(removed);
  console.pushed(bookmark("of another access"));
  return console;
}

test("a stream changes nothing after the hello of the next", () => {
  const console = movingConsole();
  console.welcomed(welcome);
  assert.equal(console["open"].size, 1);
  console.pushed(removed);
  assert.equal(console["open"].size, 0);
  assert.equal(tokenOf(console), "t1");
});

test("a stream serves on if the next one is refused", () => {
  const console = movingConsole();
  console.lost();
  assert.equal(console["open"].size, 0);
  assert.equal(tokenOf(console), "of another access");
});
