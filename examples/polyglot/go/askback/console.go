package askback

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

type (
	conversePipe    = pipe[*pb.ConverseClientFrame, *pb.ConverseServerFrame]
	converseSession = session[*pb.ConverseClientFrame, *pb.ConverseServerFrame]
)

// Console receives open prompts for a person and sends answers.
type Console struct {
	Server *Server
	ID     string // stable over restarts
	Credit int32  // maximum number of prompts that the server sends before Next returns them; 0: no limit
	Filter *pb.PromptFilter
	Log    *slog.Logger

	session *converseSession

	mu      sync.Mutex
	open    map[string]*shown
	queue   []string // ids whose newest version Next has not returned
	arrived chan struct{}
	stream  int // counts streams: credit belongs to one
	token   string
	moving  bool                      // a hello waits for its welcome
	held    []*pb.ConverseServerFrame // what the present stream has pushed since that hello
}

type shown struct {
	prompt *pb.Prompt
	stream int // the stream whose credit it uses
	queued bool
}

// NewConsole returns a console; Run connects it.
func NewConsole(server *Server, id string, credit int32, log *slog.Logger) *Console {
	c := &Console{Server: server, ID: id, Credit: credit, Log: log,
		open: map[string]*shown{}, arrived: make(chan struct{}, 1)}
	c.session = newSession[*pb.ConverseClientFrame, *pb.ConverseServerFrame](server, c, log)
	return c
}

// Run keeps the console connected until the context ends. It returns an error if the server refuses it for good.
func (c *Console) Run(ctx context.Context) error {
	return c.session.run(ctx)
}

// Next waits for an open prompt that it has not returned yet, or that has changed since.
func (c *Console) Next(ctx context.Context) (*pb.Prompt, error) {
	for {
		if prompt := c.take(); prompt != nil {
			return prompt, nil
		}
		select {
		case <-c.arrived:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.session.over:
			return nil, context.Canceled
		}
	}
}

func (c *Console) take() *pb.Prompt {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 {
		id := c.queue[0]
		c.queue = c.queue[1:]
		if known := c.open[id]; known != nil && known.queued {
			known.queued = false
			if known.stream == c.stream {
				c.restoreCredit()
			}
			return known.prompt
		}
	}
	return nil
}

// Answer submits an answer and returns its result, however often the connection breaks in between: the request is
// sent again with the same answer_id until the result arrives, and one answer_id has one result.
func (c *Console) Answer(ctx context.Context, answer *pb.AnswerPromptRequest) (*pb.AnswerResult, error) {
	reply, err := c.session.request(ctx, &pb.ConverseClientFrame{
		Body: &pb.ConverseClientFrame_AnswerPrompt{AnswerPrompt: answer}})
	return reply.GetAnswerPrompt().GetResult(), err
}

func (c *Console) dial(ctx context.Context, conn *grpc.ClientConn) (conversePipe, error) {
	stream, err := pb.NewHitlServiceClient(conn).Converse(ctx)
	if err != nil {
		return conversePipe{}, err
	}
	message := func(frame *pb.ConverseClientFrame) *pb.ConverseRequest {
		return &pb.ConverseRequest{Frames: []*pb.ConverseClientFrame{frame}}
	}
	return newPipe(stream, message, (*pb.ConverseResponse).GetFrames), nil
}

// hello resumes the conversation at the last resume token. The next stream sends what changed since; what the present
// one still sends may be of another access, so it is held back until the welcome.
func (c *Console) hello() *pb.ConverseClientFrame {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moving = true
	return &pb.ConverseClientFrame{Body: &pb.ConverseClientFrame_Hello{Hello: &pb.ConverseHello{
		ConsoleId: c.ID, Filter: c.Filter, Credit: c.Credit, ResumeToken: c.token}}}
}

func (c *Console) heartbeat() *pb.ConverseClientFrame {
	return &pb.ConverseClientFrame{Body: &pb.ConverseClientFrame_Heartbeat{Heartbeat: &pb.ConverseHeartbeat{}}}
}

func (c *Console) goodbye() *pb.ConverseClientFrame {
	return &pb.ConverseClientFrame{Body: &pb.ConverseClientFrame_Goodbye{Goodbye: &pb.ConverseGoodbye{}}}
}

func (c *Console) withRef(frame *pb.ConverseClientFrame, ref int64) { frame.Ref = ref }

func (c *Console) welcomed(frame *pb.ConverseServerFrame) (time.Duration, bool) {
	welcome := frame.GetWelcome()
	if welcome == nil {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moving, c.held = false, nil
	c.stream++
	if c.token == "" {
		c.forgetAll() // the server sends a full snapshot
	}
	c.Log.Info("connected", "replica", welcome.Replica, "resumed", c.token != "")
	return welcome.HeartbeatInterval.AsDuration(), true
}

func (c *Console) goAway(frame *pb.ConverseServerFrame) (string, time.Duration, bool) {
	away := frame.GetGoAway()
	return away.GetReason(), away.GetAfter().AsDuration(), away != nil
}

// lost applies what was held back: no stream has taken over.
func (c *Console) lost(error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, frame := range c.held {
		c.apply(frame)
	}
	c.moving, c.held = false, nil
}

func (c *Console) pushed(frame *pb.ConverseServerFrame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.moving {
		c.held = append(c.held, frame)
	} else {
		c.apply(frame)
	}
}

func (c *Console) apply(frame *pb.ConverseServerFrame) {
	c.resumeAt(frame.GetHeartbeat().GetResumeToken())
	switch event := frame.GetPromptEvent().GetEvent().(type) {
	case *pb.PromptEvent_Upserted:
		c.upsert(event.Upserted.Prompt)
	case *pb.PromptEvent_Closed:
		c.remove(event.Closed.PromptId, event.Closed.Version)
		c.Log.Info("closed", "prompt_id", event.Closed.PromptId, "answer_id", event.Closed.AnswerId,
			"state", event.Closed.Resolution.GetState().String())
	case *pb.PromptEvent_Removed:
		c.remove(event.Removed.PromptId, event.Removed.Version)
	case *pb.PromptEvent_CaughtUp:
		c.resumeAt(event.CaughtUp.ResumeToken)
		c.Log.Info("caught up", "open", event.CaughtUp.OpenPrompts)
	case *pb.PromptEvent_Bookmark:
		c.resumeAt(event.Bookmark.ResumeToken)
	case *pb.PromptEvent_ResetView:
		c.token = ""
		c.forgetAll()
	}
}

func (c *Console) resumeAt(token string) {
	if token != "" {
		c.token = token
	}
}

// upsert stores a prompt. Each one has used a credit: a new one, a changed one, and an older version that is late.
func (c *Console) upsert(prompt *pb.Prompt) {
	known := c.open[prompt.PromptId]
	if known != nil && known.prompt.Version >= prompt.Version {
		c.restoreCredit()
		return
	}
	if known != nil && known.queued && known.stream == c.stream {
		c.restoreCredit() // the older version was never handed out
	}
	c.open[prompt.PromptId] = &shown{prompt, c.stream, true}
	c.queue = append(c.queue, prompt.PromptId)
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

func (c *Console) remove(id string, version int64) {
	known := c.open[id]
	if known == nil || known.prompt.Version > version {
		return
	}
	delete(c.open, id)
	if known.queued && known.stream == c.stream {
		c.restoreCredit()
	}
}

func (c *Console) forgetAll() {
	for _, known := range c.open {
		if known.queued && known.stream == c.stream {
			c.restoreCredit()
		}
	}
	clear(c.open)
	c.queue = nil
}

// restoreCredit lets the server push one more prompt.
func (c *Console) restoreCredit() {
	if c.Credit > 0 {
		c.session.send(&pb.ConverseClientFrame{Body: &pb.ConverseClientFrame_Credit{
			Credit: &pb.ConverseCredit{Prompts: 1}}})
	}
}
