// A client by unary calls and a server stream: it creates a job, follows it to its end, and prints the result.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"time"

	"google.golang.org/grpc"

	"github.com/askback/askback/examples/polyglot/go/askback"
	pb "github.com/askback/askback/gen/go/askback/v1"
)

func main() {
	server := askback.Flags()
	jobType := flag.String("type", "release", "which workers run the job")
	input := flag.String("input", `{"version": "1.4.0"}`, "JSON text")
	flag.Parse()
	log := askback.Log()
	ctx, stop := askback.UntilStopped()
	defer stop()
	conn, err := server.Dial()
	if err != nil {
		log.Error("refused", "error", err.Error())
		os.Exit(2)
	}
	defer conn.Close()
	jobs := pb.NewJobServiceClient(conn)
	job, err := run(ctx, jobs, &pb.CreateJobRequest{RequestId: rand.Text(), JobType: *jobType, InputJson: *input}, log)
	if err != nil {
		log.Error("failed", "error", err.Error())
		os.Exit(1)
	}
	log.Info("ended", "job_id", job.JobId, "state", job.State.String(), "result", job.ResultJson,
		"failure", job.GetFailure().GetMessage())
	if job.State != pb.JobState_JOB_STATE_COMPLETED {
		os.Exit(1)
	}
}

// run creates the job, follows it and returns it after its end. It retries while the server is unavailable: the
// request_id makes the creation idempotent, and following continues after the last seq.
func run(
	ctx context.Context, jobs pb.JobServiceClient, request *pb.CreateJobRequest, log *slog.Logger,
) (*pb.Job, error) {
	var created *pb.CreateJobResponse
	var seq int64
	for {
		err := func() (err error) {
			if created == nil {
				if created, err = jobs.CreateJob(ctx, request, grpc.WaitForReady(true)); err != nil {
					return err
				}
				log.Info("created", "job_id", created.Job.JobId, "replayed", created.Replayed)
			}
			seq, err = follow(ctx, jobs, created.Job.JobId, seq, log)
			return err
		}()
		if err == nil {
			// The service config retries GetJob if necessary.
			got, err := jobs.GetJob(ctx, &pb.GetJobRequest{JobId: created.Job.JobId}, grpc.WaitForReady(true))
			return got.GetJob(), err
		}
		if !askback.Passes(err) {
			return nil, err
		}
		log.Info("retrying", "error", err.Error())
		time.Sleep(200 * time.Millisecond)
	}
}

// follow prints the job's events until its end, and returns the seq of the last event.
func follow(ctx context.Context, jobs pb.JobServiceClient, id string, seq int64, log *slog.Logger) (int64, error) {
	watch, err := jobs.WatchJob(ctx, &pb.WatchJobRequest{JobId: id, AfterSeq: seq}, grpc.WaitForReady(true))
	if err != nil {
		return seq, err
	}
	for {
		message, err := watch.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return seq, nil
			}
			return seq, err
		}
		for _, event := range message.Events {
			seq = event.Seq
			log.Info("happened", "job_id", id, "seq", seq, "type", event.Type.String(), "state", event.State.String())
		}
	}
}
