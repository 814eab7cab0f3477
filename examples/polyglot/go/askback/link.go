package askback

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// pipe is one gRPC stream that sends and receives single frames.
type pipe[C, S any] struct {
	send      func(C) error
	recv      func() ([]S, error)
	closeSend func() error
}

func newPipe[Req, Res, C, S any](
	stream grpc.BidiStreamingClient[Req, Res], message func(C) *Req, frames func(*Res) []S,
) pipe[C, S] {
	return pipe[C, S]{
		send: func(frame C) error { return stream.Send(message(frame)) },
		recv: func() ([]S, error) {
			received, err := stream.Recv()
			if err != nil {
				return nil, err
			}
			return frames(received), nil
		},
		closeSend: stream.CloseSend,
	}
}

// link is one physical stream: one goroutine reads, one writes, and nothing else touches it.
type link[C, S any] struct {
	pipe[C, S]
	cancel  context.CancelCauseFunc
	backlog []*request[C, S] // sent before anything else
	out     chan C
	ready   chan struct{} // closed by the welcome
	leave   chan struct{} // closed when the server asks the client to move
	finish  chan struct{} // closed when the client will send no more
	done    chan struct{} // closed at the end; err has the cause
	err     error

	leaveOnce sync.Once
	after     time.Duration
}

func newLink[C, S any](p pipe[C, S], cancel context.CancelCauseFunc) *link[C, S] {
	return &link[C, S]{
		pipe: p, cancel: cancel, out: make(chan C, maxInFlight),
		ready: make(chan struct{}), leave: make(chan struct{}), finish: make(chan struct{}), done: make(chan struct{}),
	}
}

// put queues a frame. On an ended stream it does nothing: requests are sent again on the next one.
func (l *link[C, S]) put(frame C) {
	select {
	case l.out <- frame:
	case <-l.done:
	}
}

// write sends the backlog, queued frames, and a heartbeat per interval. It ends on an error, which the reader reports.
func (l *link[C, S]) write(interval time.Duration, heartbeat func() C) {
	for _, r := range l.backlog {
		if l.send(r.frame) != nil {
			return
		}
	}
	beat := time.NewTicker(interval)
	defer beat.Stop()
	for {
		var err error
		select {
		case frame := <-l.out:
			err = l.send(frame)
		case <-beat.C:
			err = l.send(heartbeat())
		case <-l.done:
			return
		case <-l.finish:
			for len(l.out) > 0 && err == nil {
				err = l.send(<-l.out)
			}
			_ = l.closeSend()
			return
		}
		if err != nil {
			return
		}
	}
}

func (l *link[C, S]) askToLeave(after time.Duration) {
	l.leaveOnce.Do(func() {
		l.after = min(after, leaveGrace)
		close(l.leave)
	})
}

// retire sends queued frames, half-closes, and gives the server some time to send the outstanding replies.
func (l *link[C, S]) retire() {
	grace := leaveGrace
	select {
	case <-l.leave:
		grace = l.after
	default:
	}
	close(l.finish)
	time.AfterFunc(grace, func() { l.cancel(context.Canceled) })
}
