import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  type LeasedJob,
  type WorkClientFrame,
  WorkClientFrameSchema,
  WorkerService,
  type WorkServerFrame,
} from "../gen/askback/v1/worker_service_pb.js";
import { Job, JobCancelled, LeaseLost } from "./job.js";
import { log } from "./program.js";
import type { Server } from "./server.js";
import { Session, type Wire } from "./session.js";

export type WorkBody = MessageInitShape<typeof WorkClientFrameSchema>["body"];

/**
 * Runs one job and returns its result. After a crash or a lost lease it is called again from the top, and questions
 * that were asked before return the same prompts by their keys.
 */
export type Handler = (job: Job) => Promise<unknown>;

/** Runs jobs. `capacity` is the maximum number of running jobs, without those that wait for people. */
export class Worker implements Wire<WorkClientFrame, WorkServerFrame> {
  private readonly session: Session<WorkClientFrame, WorkServerFrame>;
  private readonly jobs = new Map<string, Job>();
  private leaving?: AbortSignal;
  private sessionId = "";
  private secret = "";

  constructor(
    server: Server,
    private readonly id: string,
    private readonly capacity: number,
    private readonly handlers: Record<string, Handler>,
  ) {
    this.session = new Session(server, this);
  }

  /** Work until the signal, then release the jobs that have not ended. Throws if the server refuses for good. */
  async run(signal: AbortSignal): Promise<void> {
    this.leaving = signal;
    await this.session.run(signal);
  }

  /** Send one frame and wait for the body of its reply. */
  async request(body: WorkBody, signal?: AbortSignal): Promise<WorkServerFrame["body"]> {
    const reply = await this.session.request(create(WorkClientFrameSchema, { body }), signal);
    return reply.body;
  }

  /** Stop a job whose lease is lost. */
  lose(jobId: string, token?: bigint): void {
    const job = this.jobs.get(jobId);
    if (!job || (token !== undefined && token !== job.token)) return;
    this.jobs.delete(jobId);
    job.stop(new LeaseLost());
  }

  async *dial(transport: Transport, frames: AsyncIterable<WorkClientFrame>, signal: AbortSignal) {
    async function* messages() {
      for await (const frame of frames) yield { frames: [frame] };
    }
    for await (const message of createClient(WorkerService, transport).work(messages(), { signal })) {
      yield message.frames;
    }
  }

  /** Open a session, or resume the previous one with the jobs that still run. */
  hello(): WorkClientFrame {
    const heldJobs = [...this.jobs.values()].map((job) => ({ jobId: job.id, token: job.token }));
    const value = {
      workerId: this.id,
      jobTypes: Object.keys(this.handlers),
      capacity: this.capacity,
      sessionId: this.sessionId,
      sessionSecret: this.secret,
      heldJobs,
    };
    return create(WorkClientFrameSchema, { body: { case: "hello", value } });
  }

  heartbeat(): WorkClientFrame {
    return create(WorkClientFrameSchema, { body: { case: "heartbeat", value: {} } });
  }

  goodbye(): WorkClientFrame {
    return create(WorkClientFrameSchema, { body: { case: "goodbye", value: {} } });
  }

  welcomed(frame: WorkServerFrame): void {
    if (frame.body.case !== "welcome") return;
    const welcome = frame.body.value;
    this.sessionId = welcome.sessionId;
    this.secret = welcome.sessionSecret;
    for (const id of welcome.lostJobIds) this.lose(id);
    log("connected", { replica: welcome.replica, session_id: welcome.sessionId, resumed: welcome.resumed });
  }

  pushed({ body }: WorkServerFrame): void {
    switch (body.case) {
      case "jobLeased":
        if (body.value.leasedJob) this.start(body.value.leasedJob);
        break;
      case "promptResolved":
        if (body.value.prompt) this.jobs.get(body.value.prompt.jobId)?.resolved(body.value.prompt);
        break;
      case "cancelRequested":
        this.jobs.get(body.value.jobId)?.stop(new JobCancelled(body.value.reason));
        break;
      case "leaseLost":
        this.lose(body.value.jobId, body.value.token);
        break;
    }
  }

  /** If the session has expired (NOT_FOUND), so has every lease, and the next hello opens a new session. */
  lost(error: unknown): void {
    if (!(error instanceof ConnectError && error.code === Code.NotFound)) {
      return; // Until the session expires the jobs continue; their fencing tokens reject late writes.
    }
    this.sessionId = this.secret = "";
    for (const id of [...this.jobs.keys()]) this.lose(id);
  }

  /** Run a job that was leased to this worker. A second lease of a job replaces the first. */
  private start(leased: LeasedJob): void {
    const handler = this.handlers[leased.job?.jobType ?? ""];
    if (!leased.job || !handler) return;
    const before = this.jobs.get(leased.job.jobId);
    if (before && before.token >= leased.token) return;
    before?.stop(new LeaseLost());
    const job = new Job(this, leased.job, leased.token);
    this.jobs.set(job.id, job);
    log("leased", { job_id: job.id, token: job.token, attempt: leased.job.attempt });
    handler(job)
      .then(
        (result) => this.end(job, { result }),
        (error: unknown) => this.end(job, { error }),
      )
      .catch((error: unknown) => log("not ended", { job_id: job.id, error: String(error) }))
      .finally(() => {
        if (this.jobs.get(job.id) === job) this.jobs.delete(job.id);
      });
  }

  /**
   * Report the end of the job to the server. The job stays in the list of held jobs until the reply, because a resumed
   * session is sent every job that its hello does not list.
   */
  private async end(job: Job, outcome: { result: unknown } | { error: unknown }): Promise<void> {
    if (this.leaving?.aborted) return; // the goodbye releases the job
    const why: unknown = job.signal.reason;
    if (why instanceof LeaseLost) return; // another worker may hold it now
    const held = { jobId: job.id, token: job.token };
    let body: WorkBody;
    if (why instanceof JobCancelled) {
      body = { case: "releaseJob", value: held };
    } else if ("error" in outcome) {
      const failure = { code: "HandlerFailed", message: String(outcome.error) };
      body = { case: "failJob", value: { ...held, failure, retryable: true } };
    } else {
      body = { case: "completeJob", value: { ...held, resultJson: JSON.stringify(outcome.result ?? null) } };
    }
    // Without the job's signal: it may be aborted before the reply arrives, which says more.
    await this.request(body);
    log("ended", { job_id: job.id, with: body.case });
  }
}
