package askback

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Log writes one JSON object for each event to standard output, so that people and programs can follow.
func Log() *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.MessageKey {
				a.Key = "event"
			}
			return a
		},
	}))
}

// UntilStopped returns a context that ends with SIGINT or SIGTERM.
func UntilStopped() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}
