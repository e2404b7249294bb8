package entry_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

func readDocument(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var fenced = regexp.MustCompile("(?s)\n```\n(.*?)```\n")

// The frame that docs/protocol.md takes apart is sealed with the key there,
// opens to the body there, and that says what the comments say.
func TestFrameOfTheProtocolDocument(t *testing.T) {
	_, section, ok := strings.Cut(readDocument(t), "\n### A frame of version 2\n")
	if !ok {
		t.Fatal("the document has no such section")
	}
	section, _, _ = strings.Cut(section, "\n### ")
	examples := fenced.FindAllStringSubmatch(section, -1)
	if len(examples) != 3 {
		t.Fatalf("%d examples, want key file, frame and body", len(examples))
	}
	key, err := frame.ParseKeyFile([]byte(examples[0][1]))
	if err != nil {
		t.Fatal(err)
	}
	message, err := goldentest.Parse(examples[1][1])
	if err != nil {
		t.Fatal(err)
	}
	body, err := goldentest.Parse(examples[2][1])
	if err != nil {
		t.Fatal(err)
	}

	nonce := message[frame.HeaderSize:][:frame.NonceSize]
	sealer, err := frame.NewSealer(7, key, bytes.NewReader(nonce))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := sealer.Seal(nil, body); err != nil || !bytes.Equal(got, message) {
		t.Errorf("sealed, %v:\n%s", err, hex.Dump(got))
	}
	opener, err := frame.NewOpener(7, key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := opener.Open(message); err != nil || !bytes.Equal(got, body) {
		t.Errorf("opened, %v:\n%s", err, hex.Dump(got))
	}

	parsed, err := block.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Sender != 42 || parsed.Number != 1000 {
		t.Errorf("frame %d of %v", parsed.Number, parsed.Peer)
	}
	blocks := parsed.Blocks()
	var b block.Block
	if !blocks.Next(&b) || b.Type != block.TypeAdvert {
		t.Fatalf("first block %v", b.Type)
	}
	if a, err := b.Advert(); err != nil || a.Sequence != 99 || a.Held != 25*time.Millisecond || a.Count != 1 {
		t.Errorf("ADVERT %+v, %v", a, err)
	}
	if !blocks.Next(&b) || b.Type != block.TypeHeartbeat {
		t.Fatalf("second block %v", b.Type)
	}
	want := block.Heartbeat{Last: 99, State: block.StateSynced, Interval: time.Second, Entries: 20_000, Name: []byte("dirA")}
	if h, err := b.Heartbeat(); err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("HEARTBEAT %+v, %v", h, err)
	}
	var d entry.Decoder
	if err := d.Reset(parsed.Blocks()); err != nil {
		t.Fatal(err)
	}
	conn := ipvs.Conn{
		Protocol: ipvs.TCP,
		Client:   addr("10.4.0.1:37097"), Virtual: addr("192.0.2.80:8000"), Dest: addr("10.0.2.21:8000"),
		State: ipvs.TCPEstablished, Timeout: 15 * time.Minute, Age: 321 * time.Millisecond,
	}
	if got := take(&d); !reflect.DeepEqual(got, []ipvs.Conn{conn}) {
		t.Errorf("got %+v", got)
	}
}

// checkDocument checks the bytes that the document says a connection takes.
func checkDocument(t *testing.T, row string, bytesEach float64) {
	t.Helper()
	want := fmt.Sprintf("\n| %s | %.1f |\n", row, bytesEach)
	if !strings.Contains(readDocument(t), want) {
		t.Errorf("docs/protocol.md does not have%s", want)
	}
}
