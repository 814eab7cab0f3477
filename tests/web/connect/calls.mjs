// An unmodified Connect client: `node calls.mjs ADDRESS PROMPT_ID GENERATED`. Prints what it got as one JSON object.
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";

const [address, promptId, generated] = process.argv.slice(2);
const { HitlService, AnswerResultSchema } = await import(`${generated}/askback/v1/hitl_service_pb.js`);
const { AnswerStatus, Decision } = await import(`${generated}/askback/v1/prompt_pb.js`);
const { JobService } = await import(`${generated}/askback/v1/job_service_pb.js`);
const { WorkerService } = await import(`${generated}/askback/v1/worker_service_pb.js`);

const headers = { "askback-user": "ana" };
const transport = createConnectTransport({ baseUrl: address, useBinaryFormat: false });
const hitl = createClient(HitlService, transport);
const jobs = createClient(JobService, transport);
const workers = createClient(WorkerService, transport);

const seen = {};
const caught = async (call) => {
  try {
    await call();
    return null;
  } catch (error) {
    return ConnectError.from(error);
  }
};

let heads = null;
const got = await hitl.getPrompt({ promptId }, { headers, onHeader: (h) => { heads = h; } });
const { content, version } = got.prompt;
seen.success = { title: content.title, version: String(version), type: typeof version };
seen.requestId = heads.get("askback-request-id") !== null;

const stale = await caught(() =>
  hitl.answerPrompt({ promptId, answerId: "a", revision: 7, decision: Decision.ACCEPT }, { headers }),
);
const [result] = stale.findDetails(AnswerResultSchema);
seen.error = {
  code: Code[stale.code],
  message: stale.rawMessage,
  stale: result.status === AnswerStatus.STALE,
  shown: result.prompt.promptId,
};

const late = await caught(() =>
  workers.leaseJobs({ workerId: "w", jobTypes: ["none"], wait: { seconds: 20n } }, { headers, timeoutMs: 300 }),
);
seen.timeout = Code[late.code];

const large = 9007199254740993n; // 2^53 + 1
const job = { jobId: got.prompt.jobId, priority: 3 };
const wrong = await caught(() =>
  jobs.updateJob({ job, updateMask: { paths: ["priority"] }, expectedVersion: large }, { headers }),
);
seen.large = { code: Code[wrong.code] };

const unsigned = await caught(() => hitl.getPrompt({ promptId }, { headers: { authorization: "Basic x" } }));
seen.signIn = Code[unsigned.code];

const stream = await caught(async () => {
  for await (const _ of hitl.watchPrompts({}, { headers })) break;
});
seen.stream = Code[stream.code];

console.log(JSON.stringify(seen));
