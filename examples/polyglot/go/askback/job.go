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

// Ask asks people and waits for the end of the prompt, however long that takes. The key is the job's own name of the
// question: asked again by the same key, with the same content, it is the same prompt and has its answer already. So
// the content must not hold what differs from run to run, a time for example.
func (j *Job) Ask(ctx context.Context, key string, content *pb.PromptContent) (*pb.Prompt, error) {
	// Waited for before it is asked: the resolution may overtake the reply.
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
	// Until it is confirmed the resolution is told again on every new stream.
	_, err = j.request(ctx, &pb.WorkClientFrame{Body: &pb.WorkClientFrame_AcknowledgePrompts{
		AcknowledgePrompts: &pb.AcknowledgePromptsRequest{
			JobId: j.ID, Token: j.Token, PromptIds: []string{prompt.PromptId}}}})
	return prompt, err
}

// Progress says how far the job is.
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

// resolved wakes whoever waits for the prompt. It may come more than once.
func (j *Job) resolved(prompt *pb.Prompt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case j.waits[prompt.Key] <- prompt:
	default: // Nobody waits, or it is told already.
	}
}
