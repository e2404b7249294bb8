package frame_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

const goldenKeyFile = "ssyncp-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"

func TestKeyFileIsOneLine(t *testing.T) {
	if got := string(frame.AppendKeyFile(nil, goldenKey)); got != goldenKeyFile {
		t.Errorf("got %q, want %q", got, goldenKeyFile)
	}
	for _, text := range []string{goldenKeyFile, strings.TrimSuffix(goldenKeyFile, "\n")} {
		if got, err := frame.ParseKeyFile([]byte(text)); err != nil || got != goldenKey {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestRefusesWhatIsNoKeyFile(t *testing.T) {
	line := strings.TrimSuffix(goldenKeyFile, "\n")
	for name, text := range map[string]string{
		"nothing":                  "",
		"another format":           strings.Replace(line, "1", "2", 1),
		"no format":                strings.TrimPrefix(line, "ssyncp-key-1:"),
		"31 bytes":                 "ssyncp-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
		"33 bytes":                 "ssyncp-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g",
		"no padding":               strings.TrimSuffix(line, "="),
		"bits behind the last one": strings.Replace(line, "h8=", "h9=", 1),
		"alphabet of URLs":         strings.Replace(line, "AAEC", "--__", 1),
		"a blank before":           " " + line,
		"a blank behind":           line + " ",
		"a second line":            goldenKeyFile + "\n",
		"a second key":             goldenKeyFile + goldenKeyFile,
		"a newline in the key":     strings.Replace(line, "AAECA", "AAEC\n", 1),
		"carriage return":          line + "\r\n",
	} {
		if _, err := frame.ParseKeyFile([]byte(text)); !errors.Is(err, frame.ErrKeyFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	zeros := "ssyncp-key-1:" + strings.Repeat("A", 43) + "="
	if _, err := frame.ParseKeyFile([]byte(zeros)); !errors.Is(err, frame.ErrNoKey) {
		t.Errorf("zeros: %v", err)
	}
}

// printf 'ssyncp key ID' and the octets, to sha256sum.
func TestKeyIDIsOfAHash(t *testing.T) {
	if got := goldenKey.ID(); got != 0x501d || got.String() != "501d" {
		t.Errorf("got %v, want 501d", got)
	}
}

func TestAKeyDoesNotGetIntoALog(t *testing.T) {
	type configuration struct{ Key frame.Key }
	c := configuration{goldenKey}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s", "%q"} {
		for _, v := range []any{goldenKey, &goldenKey, c} {
			if got := fmt.Sprintf(verb, v); !strings.Contains(got, "key 501d") || strings.Contains(got, "1a") || strings.Contains(got, "26") {
				t.Errorf("%s: %s", verb, got)
			}
		}
	}
	if got, err := json.Marshal(c); err != nil || string(got) != `{"Key":{}}` {
		t.Errorf("JSON: %s, %v", got, err)
	}
}

func TestGeneratesKeysOfTheRandomnessGiven(t *testing.T) {
	key, err := frame.GenerateKey(bytes.NewReader(counted(0, 32)))
	if err != nil || key != goldenKey {
		t.Errorf("got %v, %v", key, err)
	}
	if _, err := frame.GenerateKey(bytes.NewReader(counted(0, 31))); !errors.Is(err, frame.ErrRandom) {
		t.Errorf("31 bytes: %v", err)
	}
	one, err := frame.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if two, err := frame.GenerateKey(nil); err != nil || one == two || !one.Valid() {
		t.Errorf("two keys of the system's: %v, %v, %v", one, two, err)
	}
}
