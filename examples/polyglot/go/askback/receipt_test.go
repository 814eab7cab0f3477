package askback

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

type keySet struct {
	Keys []struct{ Kty, Crv, X, Kid string }
}

// verifyReceipt returns the payload of a receipt that one of the keys has signed (docs/receipts.md), with the
// standard library alone.
func verifyReceipt(statement string, keys keySet) ([]byte, error) {
	parts := strings.Split(statement, ".")
	if len(parts) != 3 {
		return nil, errors.New("it is not a JWS in compact form")
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return nil, err
		}
	}
	var header struct{ Alg, Typ, Kid string }
	if err := json.Unmarshal(decoded[0], &header); err != nil {
		return nil, err
	}
	if header.Alg != "Ed25519" || header.Typ != "askback-receipt" {
		return nil, errors.New("it is signed as something else than a receipt")
	}
	for _, key := range keys.Keys {
		public, err := base64.RawURLEncoding.DecodeString(key.X)
		if err != nil || key.Crv != "Ed25519" || key.Kid != header.Kid || len(public) != ed25519.PublicKeySize {
			continue
		}
		if !ed25519.Verify(public, []byte(parts[0]+"."+parts[1]), decoded[2]) {
			return nil, errors.New("its signature is wrong")
		}
		var payload struct{ Type string }
		if err := json.Unmarshal(decoded[1], &payload); err != nil || payload.Type != "askback.receipt.v1" {
			return nil, errors.New("it is another statement than a receipt of this version")
		}
		return decoded[1], nil
	}
	return nil, errors.New("the keys have not the one that signed it")
}

func TestReceipts(t *testing.T) {
	text, err := os.ReadFile("../../../../tests/vectors/receipts/votes.json")
	if err != nil {
		t.Fatal(err)
	}
	var vector struct {
		Keys             keySet
		Payload, Receipt string
		Refused          map[string]string
	}
	if err := json.Unmarshal(text, &vector); err != nil {
		t.Fatal(err)
	}
	payload, err := verifyReceipt(vector.Receipt, vector.Keys)
	if err != nil || string(payload) != vector.Payload {
		t.Errorf("got %q, %v", payload, err)
	}
	if len(vector.Refused) == 0 {
		t.Fatal("the vector has no statements to refuse")
	}
	for what, statement := range vector.Refused {
		if _, err := verifyReceipt(statement, vector.Keys); err == nil {
			t.Errorf("accepted: %s", what)
		}
	}
}
