package askback

import (
	"context"
	"sync"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

// Job is a job that this worker holds.
type Job struct {
	ID      string
	Token   int64  // the fencing token of the lease; every write carries it
	Input   string // JSON text
	Attempt int32

	worker *Worker
	stop   context.CancelCauseFunc

	mu    sync.Mutex
	waits map[string]chan *pb.Prompt // by key
}

// Ask asks people and waits for the end of the prompt, however long that takes. The key identifies the question within
// the job: asking again with the same key and content returns the same prompt, with its answer if there is one. So the
// content must not contain anything that differs from run to run, such as a time.
func (j *Job) Ask(ctx context.Context, key string, content *pb.PromptContent) (*pb.Prompt, error) {
	// Register before asking: the resolution may overtake the reply.
	resolved := make(chan *pb.Prompt, 1)
	j.mu.Lock()
	j.waits[key] = resolved
	j.mu.Unlock()
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.waits, key)
	}()
	reply, err := j.request(ctx, &pb.WorkClientFrame{Body: &pb.WorkClientFrame_AskPrompt{
		AskPrompt: &pb.AskPromptRequest{JobId: j.ID, Token: j.Token, Key: key, Content: content}}})
	if err != nil {
		return nil, err
	}
	prompt := reply.GetAskPrompt().Prompt
	j.worker.Log.Info("asked", "job_id", j.ID, "key", key, "prompt_id", prompt.PromptId, "round", prompt.Round)
	if prompt.State == pb.PromptState_PROMPT_STATE_PENDING {
		select {
		case prompt = <-resolved:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	// The server sends the resolution again on every new stream until it is acknowledged.
	_, err = j.request(ctx, &pb.WorkClientFrame{Body: &pb.WorkClientFrame_AcknowledgePrompts{
		AcknowledgePrompts: &pb.AcknowledgePromptsRequest{
			JobId: j.ID, Token: j.Token, PromptIds: []string{prompt.PromptId}}}})
	return prompt, err
}

// Progress reports the progress of the job.
func (j *Job) Progress(ctx context.Context, done, total int64, message string) error {
	_, err := j.request(ctx, &pb.WorkClientFrame{Body: &pb.WorkClientFrame_ReportProgress{
		ReportProgress: &pb.ReportProgressRequest{JobId: j.ID, Token: j.Token,
			Progress: &pb.Progress{Done: done, Total: total, Message: message}}}})
	return err
}

func (j *Job) request(ctx context.Context, frame *pb.WorkClientFrame) (*pb.WorkServerFrame, error) {
	reply, err := j.worker.session.request(ctx, frame)
	if Reason(err) == pb.ErrorReason_ERROR_REASON_LEASE_LOST.String() {
		j.worker.lose(j.ID, j.Token)
		return nil, ErrLeaseLost
	}
	return reply, err
}

// resolved wakes the caller that waits for the prompt. A resolution may arrive more than once.
func (j *Job) resolved(prompt *pb.Prompt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case j.waits[prompt.Key] <- prompt:
	default: // No caller waits, or it has the resolution already.
	}
}
