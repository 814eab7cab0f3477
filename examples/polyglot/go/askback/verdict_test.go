package askback

import (
	"fmt"
	"testing"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

// unknown is the number of a decision and of a state of a newer server.
const unknown = 99

func ended(state pb.PromptState, answer *pb.Answer) *pb.Prompt {
	return &pb.Prompt{State: state, Resolution: &pb.Resolution{State: state, Answer: answer}}
}

func TestOnlyAnAnswerThatAcceptsAuthorises(t *testing.T) {
	states := []pb.PromptState{unknown}
	for number := range pb.PromptState_name {
		states = append(states, pb.PromptState(number))
	}
	decisions := []pb.Decision{unknown}
	for number := range pb.Decision_name {
		decisions = append(decisions, pb.Decision(number))
	}
	for _, state := range states {
		for _, decision := range decisions {
			t.Run(fmt.Sprintf("%v/%v", state, decision), func(t *testing.T) {
				answered := state == pb.PromptState_PROMPT_STATE_ANSWERED
				yes := decision == pb.Decision_DECISION_ACCEPT || decision == pb.Decision_DECISION_EDIT
				prompt := ended(state, &pb.Answer{Decision: decision, ValuesJson: "{}"})
				if got := Authorises(prompt); got != (answered && yes) {
					t.Errorf("authorises: %v", got)
				}
				_, gives := Values(prompt)
				if want := answered && (yes || decision == pb.Decision_DECISION_RESPOND); gives != want {
					t.Errorf("gives values: %v", gives)
				}
			})
		}
	}
}

func TestWhatIsNotThereAuthorisesNothing(t *testing.T) {
	for name, prompt := range map[string]*pb.Prompt{
		"no prompt":     nil,
		"zero":          {},
		"no resolution": {State: pb.PromptState_PROMPT_STATE_ANSWERED},
		"no answer":     ended(pb.PromptState_PROMPT_STATE_ANSWERED, nil),
		"zero answer":   ended(pb.PromptState_PROMPT_STATE_ANSWERED, &pb.Answer{}),
	} {
		if Authorises(prompt) || ByDefault(prompt) {
			t.Errorf("%s authorises", name)
		}
		if values, gives := Values(prompt); gives || values != "" {
			t.Errorf("%s gives values", name)
		}
	}
}

func TestEnding(t *testing.T) {
	answered := pb.PromptState_PROMPT_STATE_ANSWERED
	for want, prompt := range map[string]*pb.Prompt{
		"EXPIRED":     ended(pb.PromptState_PROMPT_STATE_EXPIRED, nil),
		"REJECT":      ended(answered, &pb.Answer{Decision: pb.Decision_DECISION_REJECT}),
		"UNSPECIFIED": ended(answered, &pb.Answer{}),
		"99":          ended(answered, &pb.Answer{Decision: unknown}),
	} {
		if got := Ending(prompt); got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
}
