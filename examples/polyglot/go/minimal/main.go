// A worker that asks, in fifty lines of unary calls: minimal SERVER. It keeps no state between two leases.
package main

import (
	"context"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

func main() {
	conn, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	for worker := pb.NewWorkerServiceClient(conn); ; {
		if err := work(context.Background(), worker); err != nil {
			// The server is unavailable, or the lease was lost. In both cases the job will be leased again.
			log.Print(err)
			time.Sleep(time.Second)
		}
	}
}

// work waits for a job, and ends it or releases it while people decide.
func work(ctx context.Context, worker pb.WorkerServiceClient) error {
	leased, err := worker.LeaseJobs(ctx, &pb.LeaseJobsRequest{
		WorkerId: "minimal", JobTypes: []string{"deploy"}, Wait: durationpb.New(20 * time.Second)})
	if err != nil || len(leased.Jobs) == 0 {
		return err
	}
	job, token := leased.Jobs[0].Job, leased.Jobs[0].Token
	// Asking again with the same key returns the same prompt, with its answer once there is one.
	asked, err := worker.AskPrompt(ctx, &pb.AskPromptRequest{JobId: job.JobId, Token: token, Key: "deploy",
		Content: &pb.PromptContent{Kind: "confirm", Title: "Deploy " + job.InputJson + "?", Blocking: true}})
	if err != nil {
		return err
	}
	answer := asked.Prompt.GetResolution().GetAnswer()
	switch {
	case asked.Prompt.State == pb.PromptState_PROMPT_STATE_PENDING:
		// A job that waits for people needs no worker: after its release it is leased again with the answer.
		_, err = worker.ReleaseJob(ctx, &pb.ReleaseJobRequest{JobId: job.JobId, Token: token})
	case answer.GetDecision() == pb.Decision_DECISION_ACCEPT:
		_, err = worker.CompleteJob(ctx, &pb.CompleteJobRequest{JobId: job.JobId, Token: token, ResultJson: "true"})
	default: // A no, no answer, or a decision of a newer server: only ACCEPT counts as a yes.
		_, err = worker.FailJob(ctx, &pb.FailJobRequest{JobId: job.JobId, Token: token,
			Failure: &pb.Failure{Code: answer.GetDecision().String(), Message: answer.GetComment()}})
	}
	return err
}
