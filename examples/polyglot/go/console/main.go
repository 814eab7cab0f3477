// A console on the bidirectional stream. It shows each open prompt and reads one line of standard input as the
// answer: "yes", "no", or the values as a JSON object. After a refusal it reads another line. It exits at the end of
// its input.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"flag"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/askback/askback/examples/polyglot/go/askback"
	pb "github.com/askback/askback/gen/go/askback/v1"
)

func main() {
	server := askback.Flags()
	flag.Parse()
	log := askback.Log()
	ctx, stop := askback.UntilStopped()
	defer stop()
	console := askback.NewConsole(server, "go-console", 16, log)
	ended := make(chan error, 1)
	go func() { ended <- console.Run(ctx) }()

	lines := make(chan string)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
		stop()
	}()
	for {
		prompt, err := console.Next(ctx)
		if err != nil {
			break
		}
		deal(ctx, console, prompt, lines, log)
	}
	if err := <-ended; err != nil {
		log.Error("refused", "error", err.Error())
		os.Exit(1)
	}
}

// deal shows a prompt and answers it with lines of input, until it is closed.
func deal(ctx context.Context, console *askback.Console, prompt *pb.Prompt, lines <-chan string, log *slog.Logger) {
	for prompt != nil {
		log.Info("shown", "prompt_id", prompt.PromptId, "job_id", prompt.JobId, "key", prompt.Key,
			"revision", prompt.Revision, "title", prompt.Content.Title)
		var line string
		select {
		case line = <-lines:
		case <-ctx.Done():
			return
		}
		answer := answerTo(prompt, line)
		if answer == nil {
			log.Info("not understood", "line", line)
			continue
		}
		log.Info("answering", "answer_id", answer.AnswerId, "values", answer.ValuesJson)
		result, err := console.Answer(ctx, answer)
		if err != nil {
			// Refused without a verdict, so nothing is stored under this answer_id: no permission, claimed, …
			log.Info("not answered", "answer_id", answer.AnswerId, "reason", askback.Reason(err), "error", err.Error())
			return
		}
		log.Info("verdict", "answer_id", answer.AnswerId, "status", result.Status.String(), "replayed", result.Replayed,
			"violations", violations(result))
		switch result.Status {
		case pb.AnswerStatus_ANSWER_STATUS_INVALID, pb.AnswerStatus_ANSWER_STATUS_STALE:
			prompt = result.Prompt // still open: try again with its current revision
		default:
			prompt = nil
		}
	}
}

// answerTo builds the answer. Its id makes it safe to send it twice. It returns nil for a line that is neither yes, no
// nor values: an empty line, for example, approves nothing.
func answerTo(prompt *pb.Prompt, line string) *pb.AnswerPromptRequest {
	answer := &pb.AnswerPromptRequest{PromptId: prompt.PromptId, AnswerId: rand.Text(), Revision: prompt.Revision,
		ShownDigest: prompt.ShownDigest}
	responds := slices.ContainsFunc(prompt.Content.Decisions, func(d *pb.DecisionOption) bool {
		return d.Decision == pb.Decision_DECISION_RESPOND
	})
	switch {
	case line == "yes":
		answer.Decision = pb.Decision_DECISION_ACCEPT
	case line == "no":
		answer.Decision = pb.Decision_DECISION_REJECT
	case !strings.HasPrefix(line, "{"), prompt.Content.GetForm() == nil:
		return nil
	case responds:
		answer.Decision, answer.ValuesJson = pb.Decision_DECISION_RESPOND, line
	default:
		answer.Decision, answer.ValuesJson = pb.Decision_DECISION_ACCEPT, line
	}
	return answer
}

func violations(result *pb.AnswerResult) map[string]string {
	wrong := map[string]string{}
	for _, v := range result.Violations {
		wrong[v.Field] = v.Description
	}
	return wrong
}
