package askback

import (
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

// FrameError is a refused frame, with the error that the unary call would return as its status.
type FrameError struct{ *pb.FrameError }

func (e FrameError) Error() string {
	return fmt.Sprintf("%s (%s): %s", codes.Code(e.Code), e.Reason, e.Message)
}

// Reason is the full name of the ErrorReason of a refused frame or a failed call; empty if it has none.
func Reason(err error) string {
	var refused FrameError
	if errors.As(err, &refused) {
		return refused.Reason
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.Reason
		}
	}
	return ""
}

// Passes reports whether a retry of the same call may succeed.
func Passes(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.Aborted:
		return true
	case codes.ResourceExhausted:
		return Reason(err) == pb.ErrorReason_ERROR_REASON_QUEUE_FULL.String()
	}
	return false
}

// isFatal reports whether a new stream would fail with the same error.
func isFatal(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return true
	}
	return false
}
