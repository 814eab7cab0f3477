package askback

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

const (
	// maxInFlight is the maximum number of requests without a reply; the contract allows 64 per stream.
	maxInFlight = 32
	// missedBeats is the number of missed heartbeats after which the stream is closed.
	missedBeats = 3
	openTimeout = 20 * time.Second
	// leaveGrace is the maximum time that a retired stream may take to end.
	leaveGrace = 10 * time.Second
	// settled is the lifetime of a stream after which the backoff starts again.
	settled = time.Second
)

var errSilent = errors.New("nothing was heard from the server")

// wire has the differences between the two streams: their frames (C from the client, S from the server) and their
// handlers. The session calls pushed and welcomed from the goroutine that reads, so they must not block.
type wire[C, S any] interface {
	dial(ctx context.Context, conn *grpc.ClientConn) (pipe[C, S], error)
	// hello builds the first frame of each stream; it says what to resume.
	hello() C
	heartbeat() C
	goodbye() C
	withRef(frame C, ref int64)
	// welcomed handles the reply to the hello; it returns false for any other frame.
	welcomed(frame S) (heartbeat time.Duration, ok bool)
	// goAway reads the server's request to move to another stream; it returns false for any other frame.
	goAway(frame S) (reason string, after time.Duration, ok bool)
	// pushed handles a frame that is not a reply.
	pushed(frame S)
	// lost is called with the error that ended a stream, before the next one is opened.
	lost(err error)
}

// serverFrame has the common methods of both streams' server frames.
type serverFrame interface {
	GetRef() int64
	GetError() *pb.FrameError
}

// session keeps one stream open, and resends every request on new streams until it has its reply.
type session[C any, S serverFrame] struct {
	server *Server
	wire   wire[C, S]
	log    *slog.Logger
	slots  chan struct{}
	over   chan struct{} // closed when run has returned

	// handling is held while a frame is handled, so that no push of an old stream is handled after the next welcome.
	handling sync.Mutex

	mu      sync.Mutex
	current *link[C, S] // the current stream; it may have ended
	waiting map[int64]*request[C, S]
	lastRef int64
}

// request is a frame that waits for its reply. Until then it is sent again, unchanged, on every new stream. This is
// safe: an id, a key or a token makes each request of the contract idempotent.
type request[C, S any] struct {
	ref   int64
	frame C
	reply chan S
}

func newSession[C any, S serverFrame](server *Server, w wire[C, S], log *slog.Logger) *session[C, S] {
	return &session[C, S]{
		server: server, wire: w, log: log,
		slots: make(chan struct{}, maxInFlight), over: make(chan struct{}),
		waiting: map[int64]*request[C, S]{},
	}
}

// run keeps a stream open until the context ends, and then says goodbye. It returns an error if the server refuses
// the client for good.
func (s *session[C, S]) run(ctx context.Context) error {
	defer close(s.over)
	var pause backoff
	var open *link[C, S] // still open while the next one is dialled, after a go-away from the server
	defer func() {
		if open != nil {
			open.put(s.wire.goodbye())
			open.retire()
			<-open.done
		}
	}()
	for ctx.Err() == nil {
		next, err := s.open(ctx)
		if err != nil {
			s.wire.lost(err)
			if isFatal(err) {
				return err
			}
			wait := pause.next()
			s.log.Info("retrying", "error", err.Error(), "seconds", wait.Seconds())
			sleep(ctx, wait)
			continue
		}
		if open != nil {
			open.retire()
		}
		open = next
		born := time.Now()
		select {
		case <-open.leave:
		case <-open.done:
			err = open.err
			open = nil
			s.log.Info("disconnected", "error", err.Error())
			s.wire.lost(err)
			if isFatal(err) {
				return err
			}
		case <-ctx.Done():
			return nil
		}
		if time.Since(born) > settled {
			pause = backoff{}
		}
		sleep(ctx, pause.next())
	}
	return nil
}

// open dials, says hello and waits for the welcome. Each stream needs a new connection: on the old one the next stream
// would reach the same replica, which may have sent the go-away.
func (s *session[C, S]) open(ctx context.Context) (*link[C, S], error) {
	conn, err := s.server.Dial()
	if err != nil {
		return nil, err
	}
	giveUp := ctx.Done()
	// The stream outlives the context, because the goodbye is sent after it has ended.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	pipe, err := s.wire.dial(ctx, conn)
	if err == nil {
		err = pipe.send(s.wire.hello())
	}
	if err != nil {
		cancel(err)
		conn.Close()
		return nil, err
	}
	l := newLink(pipe, cancel)
	go func() {
		l.err = s.read(ctx, l)
		cancel(nil)
		conn.Close()
		close(l.done)
	}()
	select {
	case <-l.ready:
		return l, nil
	case <-l.done:
		return nil, l.err
	case <-giveUp:
		cancel(context.Canceled)
		<-l.done
		return nil, l.err
	}
}

// read handles frames until the stream ends, and returns the error that ended it.
func (s *session[C, S]) read(ctx context.Context, l *link[C, S]) error {
	patience := openTimeout
	watchdog := time.AfterFunc(patience, func() { l.cancel(errSilent) })
	defer watchdog.Stop()
	for {
		frames, err := l.recv()
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		}
		for _, frame := range frames {
			if heartbeat := s.handle(l, frame); heartbeat > 0 {
				patience = missedBeats * heartbeat
			}
		}
		watchdog.Reset(patience)
	}
}

// handle handles one frame. It returns the heartbeat interval of a welcome, and otherwise 0.
func (s *session[C, S]) handle(l *link[C, S], frame S) time.Duration {
	s.handling.Lock()
	defer s.handling.Unlock()
	if heartbeat, ok := s.wire.welcomed(frame); ok {
		heartbeat = max(heartbeat, 100*time.Millisecond)
		s.adopt(l, heartbeat)
		return heartbeat
	}
	if reason, after, ok := s.wire.goAway(frame); ok {
		s.log.Info("moving", "reason", reason)
		l.askToLeave(after)
	} else if frame.GetRef() != 0 {
		s.settle(frame)
	} else if s.uses(l) {
		// Ignore pushes of an old stream: the current one sends the same state, but newer.
		s.wire.pushed(frame)
	}
	return 0
}

// adopt makes this the current stream, and sends all requests without a reply on it first, in order.
func (s *session[C, S]) adopt(l *link[C, S], heartbeat time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = l
	for _, r := range s.waiting {
		l.backlog = append(l.backlog, r)
	}
	slices.SortFunc(l.backlog, func(a, b *request[C, S]) int { return cmp.Compare(a.ref, b.ref) })
	go l.write(heartbeat/2, s.wire.heartbeat)
	close(l.ready)
}

func (s *session[C, S]) uses(l *link[C, S]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current == l
}

// settle gives a reply to the request that waits for it. A request that was sent twice may get two replies.
func (s *session[C, S]) settle(frame S) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.waiting[frame.GetRef()]; r != nil {
		delete(s.waiting, r.ref)
		r.reply <- frame
	}
}

// request sends a frame and returns its reply, or the FrameError that refused it. It retries
// after broken streams and temporary refusals, until the context ends.
func (s *session[C, S]) request(ctx context.Context, frame C) (reply S, err error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return reply, context.Cause(ctx)
	}
	s.mu.Lock()
	s.lastRef++
	r := &request[C, S]{ref: s.lastRef, frame: frame, reply: make(chan S, 1)}
	s.mu.Unlock()
	s.wire.withRef(frame, r.ref)
	defer s.forget(r)
	for pause := (backoff{}); ; {
		s.submit(r)
		select {
		case reply = <-r.reply:
		case <-ctx.Done():
			return reply, context.Cause(ctx)
		case <-s.over:
			return reply, errors.New("the session has ended")
		}
		refusal := reply.GetError()
		if refusal == nil {
			return reply, nil
		}
		if refusal.RetryDelay == nil {
			return reply, FrameError{refusal}
		}
		if !sleep(ctx, refusal.RetryDelay.AsDuration()+pause.next()) {
			return reply, context.Cause(ctx)
		}
	}
}

func (s *session[C, S]) submit(r *request[C, S]) {
	s.mu.Lock()
	s.waiting[r.ref] = r
	l := s.current
	s.mu.Unlock()
	if l != nil {
		l.put(r.frame)
	}
}

func (s *session[C, S]) forget(r *request[C, S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, r.ref)
}

// send sends a frame without a reply, if there is a stream.
func (s *session[C, S]) send(frame C) {
	s.mu.Lock()
	l := s.current
	s.mu.Unlock()
	if l != nil {
		l.put(frame)
	}
}
