import type { Connection } from "../wire/connection";
import type { AnswerPromptRequest, AnswerPromptsRequest, AnswerPromptsResponse } from "../wire/messages";
import { answerByPost, call, type Fetch } from "../wire/unary";
import { frameError } from "./call_error";
import type { Row } from "./inbox";
import type { Outcome, Routes } from "./submissions";

/**
 * The ways of answers: AnswerPrompt for one by itself, AnswerPrompts for a joint decision.
 *
 * The results of a joint decision have no prompts, and their changes come as events. Until then a verdict has what
 * the view has.
 */
export function answerRoutes(
  connection: Pick<Connection, "open" | "request">,
  fetch: Fetch,
  view: { readonly rows: ReadonlyMap<string, Row> },
): Routes {
  const outcomes = (
    requests: readonly AnswerPromptRequest[],
    { results = [] }: AnswerPromptsResponse = {},
  ): readonly Outcome[] =>
    results.map(({ error, ...verdict }, index) => {
      if (error) return frameError(error);
      const { promptId = "", decision } = requests[index] ?? {};
      const prompt = view.rows.get(promptId)?.prompt ?? { promptId };
      if (verdict.status !== "ANSWER_STATUS_ACCEPTED" || decision === undefined)
        return { ...verdict, prompt };
      return { ...verdict, prompt: { ...prompt, resolution: { answer: { decision } } } };
    });
  return {
    socketOpen: () => connection.open,
    bySocket: async (requests, batchId) => {
      if (batchId !== "") {
        const reply = await connection.request({ answerPrompts: jointRequest(requests, batchId) });
        return outcomes(requests, reply.answerPrompts);
      }
      const reply = await connection.request({ answerPrompt: requests[0] ?? {} });
      return [reply.answerPrompt?.result ?? {}];
    },
    byPost: async (requests, batchId) => {
      if (batchId === "") return [await answerByPost(fetch, requests[0] ?? {})];
      return outcomes(
        requests,
        await call(fetch, "HitlService/AnswerPrompts", jointRequest(requests, batchId)),
      );
    },
  };
}

/** One decision on several prompts: the answers differ only in their prompts and ids. */
function jointRequest(requests: readonly AnswerPromptRequest[], batchId: string): AnswerPromptsRequest {
  const { decision, valuesJson, edits, comment } = requests[0] ?? {};
  const items = requests.map(({ promptId, revision, answerId, shownDigest }) => ({
    promptId,
    revision,
    answerId,
    shownDigest,
  }));
  // What is undefined is left out of the message.
  return { items, decision, valuesJson, edits, comment, batchId } as AnswerPromptsRequest;
}
