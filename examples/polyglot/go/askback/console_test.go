package askback

import (
	"log/slog"
	"testing"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

var welcome = &pb.ConverseServerFrame{Body: &pb.ConverseServerFrame_Welcome{Welcome: &pb.ConverseWelcome{}}}

func event(e *pb.PromptEvent) *pb.ConverseServerFrame {
	return &pb.ConverseServerFrame{Body: &pb.ConverseServerFrame_PromptEvent{PromptEvent: e}}
}

func removed(id string) *pb.ConverseServerFrame {
	return event(&pb.PromptEvent{Event: &pb.PromptEvent_Removed{
		Removed: &pb.PromptRemoved{PromptId: id, Version: 9}}})
}

func bookmark(token string) *pb.ConverseServerFrame {
	return event(&pb.PromptEvent{Event: &pb.PromptEvent_Bookmark{
		Bookmark: &pb.PromptsBookmark{ResumeToken: token}}})
}

// movingConsole returns a console with one prompt, whose next stream has said hello at the token "t1".
func movingConsole(t *testing.T) *Console {
	c := NewConsole(nil, "c", 0, slog.New(slog.DiscardHandler))
	c.hello()
	c.welcomed(welcome)
	c.pushed(event(&pb.PromptEvent{Event: &pb.PromptEvent_Upserted{
		Upserted: &pb.PromptUpserted{Prompt: &pb.Prompt{PromptId: "p", Version: 1}}}}))
	c.pushed(bookmark("t1"))
	if len(c.open) != 1 || c.hello().GetHello().ResumeToken != "t1" {
		t.Fatal("the console has not applied its first stream")
	}
	c.pushed(removed("p"))
	c.pushed(bookmark("of another access"))
	return c
}

func TestAStreamChangesNothingAfterTheHelloOfTheNext(t *testing.T) {
	c := movingConsole(t)
	c.welcomed(welcome)
	if len(c.open) != 1 || c.token != "t1" {
		t.Errorf("open: %v, token: %q", c.open, c.token)
	}
	c.pushed(removed("p"))
	if len(c.open) != 0 {
		t.Error("the next stream is not applied")
	}
}

func TestAStreamServesOnIfTheNextOneIsRefused(t *testing.T) {
	c := movingConsole(t)
	c.lost(nil)
	if len(c.open) != 0 || c.hello().GetHello().ResumeToken != "of another access" {
		t.Errorf("open: %v, token: %q", c.open, c.token)
	}
}
