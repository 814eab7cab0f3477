// A client by unary calls and a server stream: it creates a job, follows it to its end, and prints the result.
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { randomUUID } from "node:crypto";
import { Backoff, sleep } from "./askback/backoff.js";
import { log, untilStopped } from "./askback/program.js";
import { Server } from "./askback/server.js";
import { isFatal } from "./askback/session.js";
import { JobEventType, JobState } from "./gen/askback/v1/job_pb.js";
import { JobService } from "./gen/askback/v1/job_service_pb.js";

const connection = Server.fromArguments().dial();
const jobs = createClient(JobService, connection.transport);
const { signal } = untilStopped();
const pause = new Backoff();
const request = { requestId: randomUUID(), jobType: "release", inputJson: JSON.stringify({ version: "1.4.0" }) };
let jobId = "";
let afterSeq = 0n;

/** Create the job if necessary, and return it after its end. Can be called again after a failure. */
async function run() {
  if (!jobId) {
    // The requestId makes this idempotent: the same request returns the same job.
    const { job, replayed } = await jobs.createJob(request, { signal });
    jobId = job?.jobId ?? "";
    log("created", { job_id: jobId, replayed });
  }
  for await (const { events } of jobs.watchJob({ jobId, afterSeq }, { signal })) {
    for (const { seq, type, state } of events) {
      afterSeq = seq;
      log("happened", { job_id: jobId, seq, type: JobEventType[type], state: JobState[state] });
    }
    pause.reset();
  }
  return (await jobs.getJob({ jobId }, { signal })).job;
}

process.exitCode = 1;
while (!signal.aborted) {
  try {
    const job = await run();
    log("ended", {
      job_id: jobId,
      state: JobState[job?.state ?? 0],
      result: job?.resultJson,
      failure: job?.failure?.message,
    });
    process.exitCode = job?.state === JobState.COMPLETED ? 0 : 1;
    break;
  } catch (error) {
    // The job was deleted, or the requestId belongs to another job: a retry is useless.
    const final = [Code.NotFound, Code.AlreadyExists, Code.FailedPrecondition];
    if (isFatal(error) || final.includes(ConnectError.from(error).code)) {
      log("failed", { error: String(error) });
      break;
    }
    log("retrying", { error: String(error) });
    await sleep(pause.next(), signal);
  }
}
connection.close();
