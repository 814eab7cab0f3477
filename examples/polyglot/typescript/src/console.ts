// A console on the bidirectional stream. It shows each open prompt, and takes one line of standard input for an
// answer: "yes", "no", or the values as a JSON object. A refused answer may be given again. At the end of its input
// it leaves.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { Console } from "./askback/console.js";
import { log, untilStopped } from "./askback/program.js";
import { Server } from "./askback/server.js";
import { FrameRefused } from "./askback/session.js";
import type { AnswerPromptRequestSchema } from "./gen/askback/v1/hitl_service_pb.js";
import { AnswerStatus, Decision, type Prompt } from "./gen/askback/v1/prompt_pb.js";

/** Make the answer once. Its id is what makes it safe to send twice. */
function answerTo(prompt: Prompt, line: string): MessageInitShape<typeof AnswerPromptRequestSchema> {
  const answer = { promptId: prompt.promptId, answerId: randomUUID(), revision: prompt.revision };
  if (line === "yes") return { ...answer, decision: Decision.ACCEPT };
  if (line === "no") return { ...answer, decision: Decision.REJECT };
  const responds = prompt.content?.decisions.some((option) => option.decision === Decision.RESPOND);
  return { ...answer, decision: responds ? Decision.RESPOND : Decision.ACCEPT, valuesJson: line };
}

/** Show a prompt and answer it with the lines that come, until it is closed. */
async function deal(desk: Console, prompt: Prompt | undefined, lines: AsyncIterator<string>): Promise<void> {
  while (prompt) {
    const { promptId, jobId, key, revision } = prompt;
    log("shown", { prompt_id: promptId, job_id: jobId, key, revision, title: prompt.content?.title });
    const line = await lines.next();
    if (line.done) {
      stop();
      return;
    }
    const answer = answerTo(prompt, line.value);
    log("answering", { answer_id: answer.answerId, values: answer.valuesJson });
    try {
      const result = await desk.answer(answer);
      log("verdict", {
        answer_id: answer.answerId,
        status: AnswerStatus[result.status],
        replayed: result.replayed,
        violations: Object.fromEntries(result.violations.map((v) => [v.field, v.description])),
      });
      // Still open after these two: as it is now, and another try.
      const again = result.status === AnswerStatus.INVALID || result.status === AnswerStatus.STALE;
      prompt = again ? result.prompt : undefined;
    } catch (error) {
      if (!(error instanceof FrameRefused)) throw error;
      // Not judged, so nothing is kept under this answerId: no permission, claimed by another, …
      log("not answered", { answer_id: answer.answerId, reason: error.frame.reason, error: error.message });
      return;
    }
  }
}

const { signal, stop } = untilStopped();
const desk = new Console(Server.fromArguments(), "ts-console", 16);
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();
input.once("close", stop);
const running = desk.run(signal);
running.catch(stop);
for await (const prompt of desk.prompts(signal)) {
  await deal(desk, prompt, lines);
}
try {
  await running;
} catch (error) {
  log("refused", { error: String(error) });
  process.exitCode = 1;
}
input.close();
