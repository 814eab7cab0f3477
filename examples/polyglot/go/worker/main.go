// A worker on the bidirectional stream: it runs jobs of the type "release" and asks how far each may go.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"google.golang.org/protobuf/proto"

	"github.com/askback/askback/examples/polyglot/go/askback"
	pb "github.com/askback/askback/gen/go/askback/v1"
)

func main() {
	server := askback.Flags()
	flag.Parse()
	log := askback.Log()
	ctx, stop := askback.UntilStopped()
	defer stop()
	worker := &askback.Worker{
		Server: server, ID: fmt.Sprintf("go-%d", os.Getpid()), Capacity: 10, Log: log,
		Handlers: map[string]askback.Handler{"release": release},
	}
	if err := worker.Run(ctx); err != nil {
		log.Error("refused", "error", err.Error())
		os.Exit(1)
	}
}

// release runs one job. It reads like a plain function, and may be run again from the top.
func release(ctx context.Context, job *askback.Job) (any, error) {
	var input struct{ Version string }
	if err := json.Unmarshal([]byte(job.Input), &input); err != nil {
		return nil, fmt.Errorf("the input is not an object with a version: %w", err)
	}
	if err := job.Progress(ctx, 1, 2, "reading the changes"); err != nil {
		return nil, err
	}
	prompt, err := job.Ask(ctx, "canary", &pb.PromptContent{
		Kind:     "clarify",
		Title:    "How far may " + input.Version + " go at first?",
		Blocking: true,
		Form: &pb.PromptContent_Questions{Questions: &pb.QuestionForm{Questions: []*pb.Question{{
			QuestionId: "canary_percent", Title: "Percent of the traffic", Required: true,
			Input: &pb.Question_Integer{Integer: &pb.IntegerInput{
				Minimum: proto.Int64(1), Maximum: proto.Int64(100)}},
		}}}},
	})
	if err != nil {
		return nil, err
	}
	given, ok := askback.Values(prompt)
	if !ok {
		return map[string]any{"released": false, "why": askback.Ending(prompt)}, nil
	}
	// The server has checked the values against the form: no need to check them again.
	var values struct {
		CanaryPercent int `json:"canary_percent"`
	}
	if err := json.Unmarshal([]byte(given), &values); err != nil {
		return nil, err
	}
	return map[string]any{
		"released": true, "version": input.Version, "canary_percent": values.CanaryPercent,
		"by": prompt.GetResolution().GetAnswer().GetUserId()}, nil
}
