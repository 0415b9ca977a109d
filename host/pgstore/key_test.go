package pgstore_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host/pgstore"
)

func TestParseKey(t *testing.T) {
	key := newKey()
	got, err := pgstore.ParseKey(base64.StdEncoding.EncodeToString(key[:]))
	if err != nil || got != key {
		t.Errorf("got %v, %v", got == key, err)
	}
	for _, text := range []string{
		"", "secret", base64.StdEncoding.EncodeToString(key[:31]), base64.StdEncoding.EncodeToString(append(key[:], 0)),
		base64.RawStdEncoding.EncodeToString(key[:]), strings.Repeat("A", 42) + "B=",
	} {
		_, err := pgstore.ParseKey(text)
		checkCode(t, err, core.CodeInvalidConfig)
		if text != "" {
			checkHidden(t, err, text)
		}
	}
}

func TestSecretsAreHidden(t *testing.T) {
	key := pgstore.Key([]byte("0123456789abcdef0123456789ABCDEF"))
	c := pgstore.Config{ConnString: "postgres://user:hunter2@127.0.0.1:1/db", Keys: []pgstore.Key{key}, Name: "fleet"}
	secrets := []string{"hunter2", "0123456789", fmt.Sprintf("%x", key[:])[:20], fmt.Sprint(key[:4])[1:10], "0x30, 0x31"}
	for _, value := range []any{key, &key, c, &c, []pgstore.Key{key}, struct{ Key pgstore.Key }{key}} {
		checkHidden(t, value, secrets...)
	}
	for _, value := range []any{key, c, &c, struct{ Config pgstore.Config }{c}, slog.AnyValue(c).Resolve().String()} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		checkHidden(t, string(text), secrets...)
	}
}
