// The job that asks a second person about a rule.

import type { Rule } from "../../wire/messages";
import { t } from "../../words/later";
import { usePage } from "../page";
import { PlaceLink } from "../place_link";
import { isClient } from "../roles";

interface ProposalJobProps {
  readonly rule: Rule;
  readonly onGo?: () => void;
}

/** A link for those who may see jobs; its author does not get the question. */
export function ProposalJob({ rule, onGo }: ProposalJobProps) {
  const { inbox } = usePage();
  const jobId = rule.proposalJobId ?? "";
  if (jobId === "") return <p class="hint">{t("rules.proposal.no_job")}</p>;
  return (
    <p data-proposal={jobId}>
      {isClient(inbox.session.value) ? (
        <PlaceLink place={{ view: "job", jobId }} {...(onGo === undefined ? {} : { onGo })}>
          {t("rules.proposal.job")}
        </PlaceLink>
      ) : (
        <>
          {t("rules.proposal.job")} <code>{jobId}</code>
        </>
      )}
    </p>
  );
}
