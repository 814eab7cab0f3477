package main

import (
	"testing"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

func offering(form bool, decisions ...pb.Decision) *pb.Prompt {
	content := &pb.PromptContent{}
	for _, decision := range decisions {
		content.Decisions = append(content.Decisions, &pb.DecisionOption{Decision: decision})
	}
	if form {
		content.Form = &pb.PromptContent_SchemaJson{SchemaJson: "{}"}
	}
	return &pb.Prompt{Content: content}
}

func TestOnlyAYesAndValuesAreAnswers(t *testing.T) {
	accept, respond, reject := pb.Decision_DECISION_ACCEPT, pb.Decision_DECISION_RESPOND, pb.Decision_DECISION_REJECT
	confirm, clarify := offering(false, accept, reject), offering(true, respond)
	newer := offering(true, 0, 99) // the zero value, and a decision that this console does not know
	for _, is := range []struct {
		prompt   *pb.Prompt
		line     string
		decision pb.Decision // 0: no answer
	}{
		{confirm, "yes", accept}, {confirm, "no", reject}, {confirm, "", 0}, {confirm, "maybe", 0}, {confirm, "{}", 0},
		{clarify, `{"n": 1}`, respond}, {clarify, "", 0}, {clarify, "1", 0},
		{offering(true, accept, reject), `{"n": 1}`, accept},
		{newer, "", 0}, {newer, "99", 0}, {newer, "no", reject},
	} {
		answer := answerTo(is.prompt, is.line)
		if answer.GetDecision() != is.decision || (answer == nil) != (is.decision == 0) {
			t.Errorf("%q: %v", is.line, answer)
		}
	}
}
