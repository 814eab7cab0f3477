package askback

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/gowebpki/jcs"
	"google.golang.org/protobuf/encoding/protojson"

	pb "github.com/askback/askback/gen/go/askback/v1"
)

// shownDigest computes Prompt.shown_digest from the content of a prompt: the SHA-256 of a version and of the
// canonical form (docs/reference/prompt-form.md), made by protojson and a library for RFC 8785.
func shownDigest(content *pb.PromptContent) (form string, digest string, err error) {
	document, err := protojson.Marshal(&pb.PromptContent{
		Kind:       content.Kind,
		Title:      content.Title,
		Body:       content.Body,
		Contents:   content.Contents,
		Form:       content.Form,
		Decisions:  content.Decisions,
		Correction: content.Correction,
		Approval:   content.Approval,
	})
	if err != nil {
		return "", "", err
	}
	canonical, err := jcs.Transform(document)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(append([]byte("askback.prompt.v1\n"), canonical...))
	return string(canonical), hex.EncodeToString(sum[:]), nil
}

func TestDigests(t *testing.T) {
	files, err := filepath.Glob("../../../../tests/vectors/prompts/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no vectors found", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var vector struct {
				Content      json.RawMessage
				Form, Digest string
			}
			if err := json.Unmarshal(text, &vector); err != nil {
				t.Fatal(err)
			}
			content := &pb.PromptContent{}
			if err := protojson.Unmarshal(vector.Content, content); err != nil {
				t.Fatal(err)
			}
			form, digest, err := shownDigest(content)
			if err != nil {
				t.Fatal(err)
			}
			if form != vector.Form || digest != vector.Digest {
				t.Errorf("form and digest are\n%s\n%s\nand not\n%s\n%s", form, digest, vector.Form, vector.Digest)
			}
		})
	}
}
