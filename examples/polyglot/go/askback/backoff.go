package askback

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
)

// backoff gives pauses with full jitter: from zero to a bound that doubles with every failure, so that
// a thousand clients do not reconnect to a restarted server at the same time.
type backoff struct{ failures int }

func (b *backoff) next() time.Duration {
	bound := min(longPause, firstPause<<min(b.failures, 10))
	b.failures++
	return rand.N(bound)
}

// sleep waits, and returns false if the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
