package askback

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

// anyTime matches a time that may have any value in a vector.
var anyTime = regexp.MustCompile(`("(?:expireT|t)ime": )"\*"`)

// The conformance vectors are conversations as ProtoJSON. Every frame must survive a round trip through this
// language's generated types, JSON and the wire format, without an unknown field and without a change.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob("../../../../tests/vectors/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no vectors found", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text = anyTime.ReplaceAll(text, []byte(`$1"2026-01-01T00:00:00Z"`))
			var vector struct {
				Service string
				Steps   []struct {
					Client, Calls, Server []json.RawMessage
					Reply                 json.RawMessage
				}
			}
			if err := json.Unmarshal(text, &vector); err != nil {
				t.Fatal(err)
			}
			var client, server proto.Message = &pb.ConverseClientFrame{}, &pb.ConverseServerFrame{}
			if vector.Service == "work" {
				client, server = &pb.WorkClientFrame{}, &pb.WorkServerFrame{}
			}
			frames := 0
			for _, step := range vector.Steps {
				for _, frame := range append(step.Client, step.Calls...) {
					roundTrip(t, client, frame)
					frames++
				}
				if step.Reply != nil {
					step.Server = append(step.Server, step.Reply)
				}
				for _, frame := range step.Server {
					roundTrip(t, server, frame)
					frames++
				}
			}
			if frames == 0 {
				t.Error("no frames in it")
			}
		})
	}
}

func roundTrip(t *testing.T, message proto.Message, text json.RawMessage) {
	t.Helper()
	if err := protojson.Unmarshal(text, message); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	wire, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(wire, message); err != nil {
		t.Fatal(err)
	}
	back, err := protojson.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if json.Unmarshal(text, &want) != nil || json.Unmarshal(back, &got) != nil {
		t.Fatal("not JSON")
	}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("came back changed:\n%s\n%s", text, back)
	}
}
