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
	// maxInFlight is how many requests wait for their replies at once; the contract allows 64 on a stream.
	maxInFlight = 32
	// missedBeats is after how many missed heartbeats the server is taken for dead.
	missedBeats = 3
	openTimeout = 20 * time.Second
	// leaveGrace bounds how long a stream that was left may take to its end.
	leaveGrace = 10 * time.Second
	// settled is how long a stream must have lived for the next failure to count as a first one.
	settled = time.Second
)

var errSilent = errors.New("nothing was heard from the server")

// wire is what differs between the two streams: their frames (C from the client, S from the server), and who wants to
// know. The session calls pushed and welcomed from the goroutine that reads, so they must not block.
type wire[C, S any] interface {
	dial(ctx context.Context, conn *grpc.ClientConn) (pipe[C, S], error)
	// hello is made anew for each stream: it says what is to be resumed.
	hello() C
	heartbeat() C
	goodbye() C
	withRef(frame C, ref int64)
	// welcomed takes the reply to the hello; false: the frame is another one.
	welcomed(frame S) (heartbeat time.Duration, ok bool)
	// goAway reads the wish that the client move to another stream; false: the frame is another one.
	goAway(frame S) (reason string, after time.Duration, ok bool)
	// pushed takes a frame that replies to nothing.
	pushed(frame S)
	// lost is told how a stream ended, before the next one is opened.
	lost(err error)
}

// serverFrame is what both streams' server frames have.
type serverFrame interface {
	GetRef() int64
	GetError() *pb.FrameError
}

// session keeps one stream open, and every request alive until its reply, over as many streams as that takes.
type session[C any, S serverFrame] struct {
	server *Server
	wire   wire[C, S]
	log    *slog.Logger
	slots  chan struct{}
	over   chan struct{} // closed when run has returned

	mu      sync.Mutex
	current *link[C, S] // the stream in use; it may have ended
	waiting map[int64]*request[C, S]
	lastRef int64
}

// request is a frame that waits for its reply. It is sent again, unchanged, on every new stream until then, which is
// harmless: each request of the contract is idempotent by an id, a key or a token in it.
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
	var open *link[C, S] // still open while the next one is dialled: the server has asked us to go
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

// open dials, says hello and waits for the welcome. Each stream has a connection of its own: on the old one the next
// stream would come to the same replica, which may be the one that asked us to go.
func (s *session[C, S]) open(ctx context.Context) (*link[C, S], error) {
	conn, err := s.server.Dial()
	if err != nil {
		return nil, err
	}
	giveUp := ctx.Done()
	// The stream outlives the context by a goodbye.
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

// read takes what comes until the stream ends, and returns how it ended.
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
			if heartbeat, ok := s.wire.welcomed(frame); ok {
				heartbeat = max(heartbeat, 100*time.Millisecond)
				patience = missedBeats * heartbeat
				s.adopt(l, heartbeat)
			} else if reason, after, ok := s.wire.goAway(frame); ok {
				s.log.Info("moving", "reason", reason)
				l.askToLeave(after)
			} else if frame.GetRef() != 0 {
				s.settle(frame)
			} else if s.uses(l) {
				// What a stream says after the next one is open, the next one says too, and better.
				s.wire.pushed(frame)
			}
		}
		watchdog.Reset(patience)
	}
}

// adopt makes this the stream in use: all that waits for a reply is sent on it first, in order.
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

// settle gives a reply to whoever waits for it. A request that was sent on two streams may be replied to twice.
func (s *session[C, S]) settle(frame S) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.waiting[frame.GetRef()]; r != nil {
		delete(s.waiting, r.ref)
		r.reply <- frame
	}
}

// request sends a frame and returns its reply, or the FrameError that refused it. It waits over broken streams and
// over refusals that pass, until the context ends.
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

// send says something that wants no reply; without a stream it is not said.
func (s *session[C, S]) send(frame C) {
	s.mu.Lock()
	l := s.current
	s.mu.Unlock()
	if l != nil {
		l.put(frame)
	}
}
