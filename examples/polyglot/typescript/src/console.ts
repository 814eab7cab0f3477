// A console on the bidirectional stream. It shows each open prompt and reads one line of standard input as the
// answer: "yes", "no", or the values as a JSON object. After a refusal it reads another line. It exits at the end of
// its input.
import { createInterface } from "node:readline";
import { Console } from "./askback/console.js";
import { answerTo } from "./askback/line.js";
import { log, untilStopped } from "./askback/program.js";
import { Server } from "./askback/server.js";
import { FrameRefused } from "./askback/session.js";
import { AnswerStatus, type Prompt } from "./gen/askback/v1/prompt_pb.js";

/** Show a prompt and answer it with lines of input, until it is closed. */
async function deal(inbox: Console, prompt: Prompt | undefined, lines: AsyncIterator<string>): Promise<void> {
  while (prompt) {
    const { promptId, jobId, key, revision } = prompt;
    log("shown", { prompt_id: promptId, job_id: jobId, key, revision, title: prompt.content?.title });
    const line = await lines.next();
    if (line.done) {
      stop();
      return;
    }
    const answer = answerTo(prompt, line.value);
    if (!answer) {
      log("not understood", { line: line.value });
      continue;
    }
    log("answering", { answer_id: answer.answerId, values: answer.valuesJson });
    try {
      const result = await inbox.answer(answer);
      log("verdict", {
        answer_id: answer.answerId,
        status: AnswerStatus[result.status],
        replayed: result.replayed,
        violations: Object.fromEntries(result.violations.map((v) => [v.field, v.description])),
      });
      // Still open after these two: try again with its current revision.
      const again = result.status === AnswerStatus.INVALID || result.status === AnswerStatus.STALE;
      prompt = again ? result.prompt : undefined;
    } catch (error) {
      if (!(error instanceof FrameRefused)) throw error;
      // Refused without a verdict, so nothing is stored under this answerId: no permission, claimed, …
      log("not answered", { answer_id: answer.answerId, reason: error.frame.reason, error: error.message });
      return;
    }
  }
}

const { signal, stop } = untilStopped();
const inbox = new Console(Server.fromArguments(), "ts-console", 16);
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();
input.once("close", stop);
const running = inbox.run(signal);
running.catch(stop);
for await (const prompt of inbox.prompts(signal)) {
  await deal(inbox, prompt, lines);
}
try {
  await running;
} catch (error) {
  log("refused", { error: String(error) });
  process.exitCode = 1;
}
input.close();
