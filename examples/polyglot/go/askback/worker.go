package askback

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

var (
	// ErrLeaseLost is the cause of a job's context that ended because another worker may have the job.
	ErrLeaseLost = errors.New("the lease is lost")
	// ErrCancelRequested is the cause of a job's context that ended because the job was cancelled.
	ErrCancelRequested = errors.New("the job is cancelled")
)

type (
	workPipe    = pipe[*pb.WorkClientFrame, *pb.WorkServerFrame]
	workSession = session[*pb.WorkClientFrame, *pb.WorkServerFrame]
)

// A Handler runs one job and returns its result. After a crash or a lost lease it is called again from the top, and
// questions that were asked before return the same prompts by their keys.
type Handler func(ctx context.Context, job *Job) (result any, err error)

// Worker runs jobs.
type Worker struct {
	Server   *Server
	ID       string // for people
	Capacity int32  // maximum number of running jobs, without those that wait for people
	Handlers map[string]Handler
	Log      *slog.Logger

	session *workSession
	ctx     context.Context // of Run: ends when the worker leaves
	running sync.WaitGroup

	mu        sync.Mutex
	sessionID string
	secret    string
	jobs      map[string]*Job
}

// Run works until the context ends, and then releases the jobs that have not ended. It returns an error if the server
// refuses the worker for good.
func (w *Worker) Run(ctx context.Context) error {
	w.ctx, w.jobs = ctx, map[string]*Job{}
	w.session = newSession[*pb.WorkClientFrame, *pb.WorkServerFrame](w.Server, w, w.Log)
	err := w.session.run(ctx)
	w.loseAll()
	w.running.Wait()
	return err
}

func (w *Worker) dial(ctx context.Context, conn *grpc.ClientConn) (workPipe, error) {
	stream, err := pb.NewWorkerServiceClient(conn).Work(ctx)
	if err != nil {
		return workPipe{}, err
	}
	message := func(frame *pb.WorkClientFrame) *pb.WorkRequest {
		return &pb.WorkRequest{Frames: []*pb.WorkClientFrame{frame}}
	}
	return newPipe(stream, message, (*pb.WorkResponse).GetFrames), nil
}

// hello opens a session, or resumes the previous one with the jobs that still run.
func (w *Worker) hello() *pb.WorkClientFrame {
	w.mu.Lock()
	defer w.mu.Unlock()
	hello := &pb.WorkHello{
		WorkerId: w.ID, Capacity: w.Capacity, SessionId: w.sessionID, SessionSecret: w.secret,
	}
	for jobType := range w.Handlers {
		hello.JobTypes = append(hello.JobTypes, jobType)
	}
	for id, job := range w.jobs {
		hello.HeldJobs = append(hello.HeldJobs, &pb.WorkHeldJob{JobId: id, Token: job.Token})
	}
	return &pb.WorkClientFrame{Body: &pb.WorkClientFrame_Hello{Hello: hello}}
}

func (w *Worker) heartbeat() *pb.WorkClientFrame {
	return &pb.WorkClientFrame{Body: &pb.WorkClientFrame_Heartbeat{Heartbeat: &pb.WorkHeartbeat{}}}
}

func (w *Worker) goodbye() *pb.WorkClientFrame {
	return &pb.WorkClientFrame{Body: &pb.WorkClientFrame_Goodbye{Goodbye: &pb.WorkGoodbye{}}}
}

func (w *Worker) withRef(frame *pb.WorkClientFrame, ref int64) { frame.Ref = ref }

func (w *Worker) welcomed(frame *pb.WorkServerFrame) (time.Duration, bool) {
	welcome := frame.GetWelcome()
	if welcome == nil {
		return 0, false
	}
	w.mu.Lock()
	w.sessionID, w.secret = welcome.SessionId, welcome.SessionSecret
	w.mu.Unlock()
	for _, id := range welcome.LostJobIds {
		w.lose(id, 0)
	}
	w.Log.Info("connected", "replica", welcome.Replica, "session_id", welcome.SessionId, "resumed", welcome.Resumed)
	return welcome.HeartbeatInterval.AsDuration(), true
}

func (w *Worker) goAway(frame *pb.WorkServerFrame) (string, time.Duration, bool) {
	away := frame.GetGoAway()
	return away.GetReason(), away.GetAfter().AsDuration(), away != nil
}

func (w *Worker) pushed(frame *pb.WorkServerFrame) {
	switch body := frame.Body.(type) {
	case *pb.WorkServerFrame_JobLeased:
		w.start(body.JobLeased.LeasedJob)
	case *pb.WorkServerFrame_PromptResolved:
		if job := w.job(body.PromptResolved.Prompt.JobId); job != nil {
			job.resolved(body.PromptResolved.Prompt)
		}
	case *pb.WorkServerFrame_CancelRequested:
		if job := w.job(body.CancelRequested.JobId); job != nil {
			job.stop(ErrCancelRequested)
		}
	case *pb.WorkServerFrame_LeaseLost:
		w.lose(body.LeaseLost.JobId, body.LeaseLost.Token)
	}
}

// lost checks whether the session has expired, and with it every lease; then the next hello opens a new one.
func (w *Worker) lost(err error) {
	if Reason(err) != pb.ErrorReason_ERROR_REASON_SESSION_NOT_FOUND.String() {
		return // Until the session expires the jobs continue; their fencing tokens reject late writes.
	}
	w.mu.Lock()
	w.sessionID, w.secret = "", ""
	w.mu.Unlock()
	w.loseAll()
}

func (w *Worker) job(id string) *Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.jobs[id]
}

func (w *Worker) lose(id string, token int64) {
	if job := w.job(id); job != nil && (token == 0 || token == job.Token) {
		w.drop(job)
		job.stop(ErrLeaseLost)
	}
}

func (w *Worker) loseAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, job := range w.jobs {
		job.stop(ErrLeaseLost)
	}
	clear(w.jobs)
}

func (w *Worker) drop(job *Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.jobs[job.ID] == job {
		delete(w.jobs, job.ID)
	}
}

// start runs a job that was leased to this worker. A second lease of a job replaces the first.
func (w *Worker) start(leased *pb.LeasedJob) {
	if before := w.job(leased.Job.JobId); before != nil {
		if before.Token >= leased.Token {
			return
		}
		before.stop(ErrLeaseLost)
	}
	ctx, stop := context.WithCancelCause(w.ctx)
	job := &Job{
		ID: leased.Job.JobId, Token: leased.Token, Input: leased.Job.InputJson, Attempt: leased.Job.Attempt,
		worker: w, stop: stop, waits: map[string]chan *pb.Prompt{},
	}
	w.mu.Lock()
	w.jobs[job.ID] = job
	w.mu.Unlock()
	w.Log.Info("leased", "job_id", job.ID, "token", job.Token, "attempt", job.Attempt)
	w.running.Go(func() {
		defer stop(nil)
		result, err := w.Handlers[leased.Job.JobType](ctx, job)
		if err := w.end(ctx, job, result, err); err != nil {
			w.Log.Info("not ended", "job_id", job.ID, "error", err.Error())
		}
		w.drop(job)
	})
}

// end reports the end of the job to the server. The job stays in the list of held jobs until the reply, because a
// resumed session is sent every job that its hello does not list.
func (w *Worker) end(ctx context.Context, job *Job, result any, err error) error {
	text, unfit := json.Marshal(result)
	if err == nil {
		err = unfit
	}
	frame := &pb.WorkClientFrame{}
	switch {
	case w.ctx.Err() != nil:
		return w.ctx.Err() // the goodbye releases the job
	case context.Cause(ctx) == ErrLeaseLost:
		return ErrLeaseLost // another worker may hold it now
	case context.Cause(ctx) == ErrCancelRequested:
		frame.Body = &pb.WorkClientFrame_ReleaseJob{
			ReleaseJob: &pb.ReleaseJobRequest{JobId: job.ID, Token: job.Token}}
	case err != nil:
		failure := &pb.Failure{Code: "HandlerFailed", Message: err.Error()}
		frame.Body = &pb.WorkClientFrame_FailJob{
			FailJob: &pb.FailJobRequest{JobId: job.ID, Token: job.Token, Failure: failure, Retryable: true}}
	default:
		frame.Body = &pb.WorkClientFrame_CompleteJob{
			CompleteJob: &pb.CompleteJobRequest{JobId: job.ID, Token: job.Token, ResultJson: string(text)}}
	}
	// Not the job's context: it may end before the reply arrives, which says more.
	if _, err := w.session.request(w.ctx, frame); err != nil {
		return err
	}
	w.Log.Info("ended", "job_id", job.ID, "with", nameOf(frame))
	return nil
}

func nameOf(frame *pb.WorkClientFrame) string {
	return string(frame.ProtoReflect().WhichOneof(frame.ProtoReflect().Descriptor().Oneofs().ByName("body")).Name())
}
