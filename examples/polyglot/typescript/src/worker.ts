// A worker on the bidirectional stream: it runs jobs of the type "release" and asks how far each may go.
import type { Job } from "./askback/job.js";
import { log, untilStopped } from "./askback/program.js";
import { Server } from "./askback/server.js";
import { ending, valuesOf } from "./askback/verdict.js";
import { Worker } from "./askback/worker.js";

/** Run one job. It reads like a plain function, and may be run again from the top. */
async function release(job: Job): Promise<unknown> {
  const { version } = job.input as { version: string };
  await job.progress(1, 2, "reading the changes");
  const prompt = await job.ask("canary", {
    kind: "clarify",
    title: `How far may ${version} go at first?`,
    blocking: true,
    form: {
      case: "questions",
      value: {
        questions: [
          {
            questionId: "canary_percent",
            title: "Percent of the traffic",
            required: true,
            input: { case: "integer", value: { minimum: 1n, maximum: 100n } },
          },
        ],
      },
    },
  });
  const values = valuesOf(prompt);
  if (values === undefined) {
    return { released: false, why: ending(prompt) };
  }
  // The server has checked the values against the form: no need to check them again.
  const { canary_percent } = JSON.parse(values) as { canary_percent: number };
  return { released: true, version, canary_percent, by: prompt.resolution?.answer?.userId };
}

const worker = new Worker(Server.fromArguments(), `ts-${process.pid}`, 10, { release });
try {
  await worker.run(untilStopped().signal);
} catch (error) {
  log("refused", { error: String(error) });
  process.exitCode = 1;
}
