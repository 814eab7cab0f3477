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
 * Runs one job; what it returns is the job's result. It may be called again from the top, after a crash or a lost
 * lease: what it has asked before comes back by its key.
 */
export type Handler = (job: Job) => Promise<unknown>;

/** Runs jobs. `capacity`: how many at once, those that wait for people not counted. */
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

  /** Work until the signal; jobs that are not done then are given back. Throws if the server refuses for good. */
  async run(signal: AbortSignal): Promise<void> {
    this.leaving = signal;
    await this.session.run(signal);
  }

  /** Send one frame and wait for the body of its reply. */
  async request(body: WorkBody, signal?: AbortSignal): Promise<WorkServerFrame["body"]> {
    const reply = await this.session.request(create(WorkClientFrameSchema, { body }), signal);
    return reply.body;
  }

  /** A job that is not held any more. */
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

  /** Opens a session, or resumes the one that there was with the jobs that still run. */
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

  /** If the session is gone (that is what NOT_FOUND means here), so is every lease, and the next hello opens a new one. */
  lost(error: unknown): void {
    if (!(error instanceof ConnectError && error.code === Code.NotFound)) {
      return; // It lives until it expires. Until then we work on, and the tokens keep late writes out.
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
   * Tell the server how the job ended. The job stays among the held ones until the reply: a resumed session gets a job
   * again that its hello leaves out.
   */
  private async end(job: Job, outcome: { result: unknown } | { error: unknown }): Promise<void> {
    if (this.leaving?.aborted) return; // the goodbye gives the job back
    const why: unknown = job.signal.reason;
    if (why instanceof LeaseLost) return; // it is not ours to end
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
    // Without the job's signal: it may be given while the reply is on its way, and then the reply tells more.
    await this.request(body);
    log("ended", { job_id: job.id, with: body.case });
  }
}
