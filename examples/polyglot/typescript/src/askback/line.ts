import type { MessageInitShape } from "@bufbuild/protobuf";
import { randomUUID } from "node:crypto";
import type { AnswerPromptRequestSchema } from "../gen/askback/v1/hitl_service_pb.js";
import { Decision, type Prompt } from "../gen/askback/v1/prompt_pb.js";

/**
 * Build the answer. Its id makes it safe to send it twice. Undefined for a line that is neither yes, no nor values: an
 * empty line, for example, approves nothing.
 */
export function answerTo(prompt: Prompt, line: string): MessageInitShape<typeof AnswerPromptRequestSchema> | undefined {
  const { promptId, revision, shownDigest } = prompt;
  const answer = { promptId, revision, shownDigest, answerId: randomUUID() };
  if (line === "yes") return { ...answer, decision: Decision.ACCEPT };
  if (line === "no") return { ...answer, decision: Decision.REJECT };
  if (!line.startsWith("{") || prompt.content?.form.case === undefined) return undefined;
  const responds = prompt.content.decisions.some((option) => option.decision === Decision.RESPOND);
  return { ...answer, decision: responds ? Decision.RESPOND : Decision.ACCEPT, valuesJson: line };
}
