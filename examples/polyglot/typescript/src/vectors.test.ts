// The conformance vectors are conversations as ProtoJSON. Every frame must survive a round trip through this
// language's generated types, JSON and the wire format, without an unknown field and without a change.
import { type DescMessage, fromBinary, fromJson, type JsonObject, toBinary, toJson } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { ConverseClientFrameSchema, ConverseServerFrameSchema } from "./gen/askback/v1/hitl_service_pb.js";
import { WorkClientFrameSchema, WorkServerFrameSchema } from "./gen/askback/v1/worker_service_pb.js";

interface Vector {
  service: string;
  steps: { client?: JsonObject[]; calls?: JsonObject[]; server?: JsonObject[]; reply?: JsonObject }[];
}

function roundTrip(schema: DescMessage, frame: JsonObject): void {
  const message = fromBinary(schema, toBinary(schema, fromJson(schema, frame)));
  assert.deepEqual(toJson(schema, message), frame);
}

const folder = new URL("../../../../tests/vectors/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
assert.notEqual(files.length, 0);
for (const file of files) {
  test(file, () => {
    // A time that may have any value.
    const text = readFileSync(new URL(file, folder), "utf8").replace(
      /("(?:expireT|t)ime": )"\*"/g,
      '$1"2026-01-01T00:00:00Z"',
    );
    const { service, steps } = JSON.parse(text) as Vector;
    const [client, server] =
      service === "work"
        ? [WorkClientFrameSchema, WorkServerFrameSchema]
        : [ConverseClientFrameSchema, ConverseServerFrameSchema];
    let frames = 0;
    for (const step of steps) {
      for (const frame of [...(step.client ?? []), ...(step.calls ?? [])]) {
        roundTrip(client, frame);
        frames++;
      }
      for (const frame of [...(step.server ?? []), ...(step.reply ? [step.reply] : [])]) {
        roundTrip(server, frame);
        frames++;
      }
    }
    assert.notEqual(frames, 0);
  });
}
