package askback

import (
	"strings"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

// Authorises says whether people (or a default that was declared) said yes. It is true for an answer that accepts,
// with or without edits, and false for everything else: no answer, the zero value, RESPOND, which gives values and
// authorises nothing, and whatever a newer server may know.
func Authorises(prompt *pb.Prompt) bool {
	switch answered(prompt).GetDecision() {
	case pb.Decision_DECISION_ACCEPT, pb.Decision_DECISION_EDIT:
		return true
	default:
		return false
	}
}

// Values are the values of an answer as JSON text, and whether the answer gives some.
func Values(prompt *pb.Prompt) (string, bool) {
	answer := answered(prompt)
	switch answer.GetDecision() {
	case pb.Decision_DECISION_RESPOND, pb.Decision_DECISION_ACCEPT, pb.Decision_DECISION_EDIT:
		return answer.GetValuesJson(), answer.GetValuesJson() != ""
	default:
		return "", false
	}
}

// ByDefault says whether nobody answered in time, so that the declared default was taken.
func ByDefault(prompt *pb.Prompt) bool {
	return answered(prompt).GetSource() == pb.AnswerSource_ANSWER_SOURCE_TIMEOUT_DEFAULT
}

// Ending says in a word how the prompt ended: REJECT, EXPIRED, … An unknown decision is a number.
func Ending(prompt *pb.Prompt) string {
	if answer := answered(prompt); answer != nil {
		return strings.TrimPrefix(answer.GetDecision().String(), "DECISION_")
	}
	return strings.TrimPrefix(prompt.GetState().String(), "PROMPT_STATE_")
}

// answered is the answer that counts; nil if there is none.
func answered(prompt *pb.Prompt) *pb.Answer {
	if prompt.GetState() != pb.PromptState_PROMPT_STATE_ANSWERED {
		return nil
	}
	return prompt.GetResolution().GetAnswer()
}
