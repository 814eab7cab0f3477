package askback

import (
	"strings"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

// Authorises reports whether people, or a declared default, said yes. It is true for ACCEPT and EDIT, and false for
// everything else: no answer, the zero value, RESPOND, which gives values but authorises nothing, and decisions of a
// newer server.
func Authorises(prompt *pb.Prompt) bool {
	switch answered(prompt).GetDecision() {
	case pb.Decision_DECISION_ACCEPT, pb.Decision_DECISION_EDIT:
		return true
	default:
		return false
	}
}

// Values returns the values of an answer as JSON text, and whether there are any.
func Values(prompt *pb.Prompt) (string, bool) {
	answer := answered(prompt)
	switch answer.GetDecision() {
	case pb.Decision_DECISION_RESPOND, pb.Decision_DECISION_ACCEPT, pb.Decision_DECISION_EDIT:
		return answer.GetValuesJson(), answer.GetValuesJson() != ""
	default:
		return "", false
	}
}

// ByDefault reports whether the declared default was taken because no answer came in time.
func ByDefault(prompt *pb.Prompt) bool {
	return answered(prompt).GetSource() == pb.AnswerSource_ANSWER_SOURCE_TIMEOUT_DEFAULT
}

// Ending returns how the prompt ended, in a word: REJECT, EXPIRED, … An unknown decision is a number.
func Ending(prompt *pb.Prompt) string {
	if answer := answered(prompt); answer != nil {
		return strings.TrimPrefix(answer.GetDecision().String(), "DECISION_")
	}
	return strings.TrimPrefix(prompt.GetState().String(), "PROMPT_STATE_")
}

// answered returns the answer that resolved the prompt; nil if there is none.
func answered(prompt *pb.Prompt) *pb.Answer {
	if prompt.GetState() != pb.PromptState_PROMPT_STATE_ANSWERED {
		return nil
	}
	return prompt.GetResolution().GetAnswer()
}
