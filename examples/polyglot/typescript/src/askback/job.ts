import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Job as JobMessage } from "../gen/askback/v1/job_pb.js";
import { type Prompt, type PromptContentSchema, PromptState } from "../gen/askback/v1/prompt_pb.js";
import { Deferred } from "./link.js";
import { log } from "./program.js";
import { FrameRefused } from "./session.js";
import type { WorkBody, Worker } from "./worker.js";

/** Another worker may have the job: stop. */
export class LeaseLost extends Error {}

/** The job was cancelled: stop. */
export class JobCancelled extends Error {}

/** A job that this worker holds. */
export class Job {
  readonly id: string;
  readonly input: unknown;
  private readonly controller = new AbortController();
  private readonly waits = new Map<string, Deferred<Prompt>>();

  constructor(
    private readonly worker: Worker,
    job: JobMessage,
    /** The fencing token of the lease; every write carries it. */
    readonly token: bigint,
  ) {
    this.id = job.jobId;
    this.input = JSON.parse(job.inputJson || "null");
  }

  /** Aborted when the job must stop; its reason is a LeaseLost or a JobCancelled. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  stop(reason: Error): void {
    this.controller.abort(reason);
  }

  /**
   * Ask people and wait for the end of the prompt, however long that takes. The key identifies the question within the
   * job: asking again with the same key and content returns the same prompt, with its answer if there is one. So the
   * content must not contain anything that differs from run to run, such as a time.
   */
  async ask(key: string, content: MessageInitShape<typeof PromptContentSchema>): Promise<Prompt> {
    // Register before asking: the resolution may overtake the reply.
    const resolved = new Deferred<Prompt>();
    const stop = () => resolved.reject(this.signal.reason);
    resolved.promise.catch(() => undefined);
    this.waits.set(key, resolved);
    this.signal.addEventListener("abort", stop);
    try {
      const reply = await this.request({ case: "askPrompt", value: { ...this.held, key, content } });
      let prompt = reply.case === "askPrompt" ? reply.value.prompt : undefined;
      if (!prompt) throw new Error("the server replied without a prompt");
      log("asked", { job_id: this.id, key, prompt_id: prompt.promptId, round: prompt.round });
      if (prompt.state === PromptState.PENDING) prompt = await resolved.promise;
      // The server sends the resolution again on every new stream until it is acknowledged.
      await this.request({ case: "acknowledgePrompts", value: { ...this.held, promptIds: [prompt.promptId] } });
      return prompt;
    } finally {
      this.waits.delete(key);
      this.signal.removeEventListener("abort", stop);
    }
  }

  /** Report the progress of the job. */
  async progress(done: number, total: number, message: string): Promise<void> {
    const progress = { done: BigInt(done), total: BigInt(total), message };
    await this.request({ case: "reportProgress", value: { ...this.held, progress } });
  }

  /** Wake the caller that waits for the prompt. A resolution may arrive more than once. */
  resolved(prompt: Prompt): void {
    this.waits.get(prompt.key)?.resolve(prompt);
  }

  private get held() {
    return { jobId: this.id, token: this.token };
  }

  private async request(body: WorkBody) {
    try {
      return await this.worker.request(body, this.signal);
    } catch (error) {
      if (error instanceof FrameRefused && error.frame.reason === "ERROR_REASON_LEASE_LOST") {
        this.worker.lose(this.id, this.token);
      }
      throw error;
    }
  }
}
