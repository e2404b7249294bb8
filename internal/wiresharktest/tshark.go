// Package wiresharktest dissects packets with tshark and the dissector in
// contrib/wireshark, for tests.
package wiresharktest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// Prefix begins the names of all fields.
const Prefix = "lvssyncp."

// Packet is what tshark says of a packet: the values of each field, in the order
// in which they are in it.
type Packet map[string][]string

// Experts returns what it finds wrong, by the names of the dissector.
func (p Packet) Experts() []string {
	var list []string
	for name := range p {
		if expert, ok := strings.CutPrefix(name, Prefix+"expert."); ok {
			list = append(list, expert)
		}
	}
	return list
}

// Dissect has the IP packets dissected, with the keys of files. An error of the
// script fails the test.
func Dissect(t testing.TB, packets [][]byte, keyFiles ...string) []Packet {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Fatal("tshark is not installed: lab/install-packages unit")
	}
	capture := filepath.Join(t.TempDir(), "capture.pcap")
	if err := os.WriteFile(capture, pcap(packets), 0o600); err != nil {
		t.Fatal(err)
	}
	_, file, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(file), "../../contrib/wireshark/ssyncp.lua")
	cmd := exec.Command(path, "-n", "-X", "lua_script:"+script, "-o", Prefix+"key_files:"+strings.Join(keyFiles, ";"),
		"-r", capture, "-T", "json", "--no-duplicate-keys")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // nobody's own settings
	var out, trouble bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &trouble
	if err := cmd.Run(); err != nil {
		t.Fatalf("tshark: %v: %s", err, trouble.String())
	}
	for _, text := range []string{out.String(), trouble.String()} {
		if at := strings.Index(text, "Lua"); at >= 0 && strings.Contains(text[at:], "rror") {
			t.Fatalf("an error of the script: %.500s", text[at:])
		}
	}
	var documents []struct {
		Source struct {
			Layers map[string]any `json:"layers"`
		} `json:"_source"`
	}
	if err := json.Unmarshal(out.Bytes(), &documents); err != nil {
		t.Fatalf("tshark: %v", err)
	}
	if len(documents) != len(packets) {
		t.Fatalf("tshark dissected %d of %d packets", len(documents), len(packets))
	}
	list := make([]Packet, len(documents))
	for i := range documents {
		list[i] = Packet{}
		list[i].collect("", documents[i].Source.Layers)
	}
	return list
}

// collect flattens the tree.
func (p Packet) collect(name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			p.collect(name, v[name])
		}
		if strings.HasPrefix(name, Prefix) {
			p[name] = append(p[name], "")
		}
	case []any:
		for _, inner := range v {
			p.collect(name, inner)
		}
	case string:
		p[name] = append(p[name], v)
	}
}

// pcap returns a file of IP packets without anything before them.
func pcap(packets [][]byte) []byte {
	const raw = 101
	p := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	p = binary.LittleEndian.AppendUint16(p, 2)
	p = binary.LittleEndian.AppendUint16(p, 4)
	p = append(p, make([]byte, 8)...)
	p = binary.LittleEndian.AppendUint32(p, 1<<17)
	p = binary.LittleEndian.AppendUint32(p, raw)
	for _, packet := range packets {
		p = binary.LittleEndian.AppendUint32(p, uint32(time.Now().Unix()))
		p = binary.LittleEndian.AppendUint32(p, 0)
		p = binary.LittleEndian.AppendUint32(p, uint32(len(packet)))
		p = binary.LittleEndian.AppendUint32(p, uint32(len(packet)))
		p = append(p, packet...)
	}
	return p
}

// IP puts an IPv4 header before a message.
func IP(protocol uint8, message []byte) []byte {
	p := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(20+len(message)))
	p = append(p, 0, 1, 0x40, 0, 255, protocol, 0, 0, 192, 0, 2, 1, 224, 0, 0, 81)
	return append(p, message...)
}

// IPv6 puts an IPv6 header before a message.
func IPv6(protocol uint8, message []byte) []byte {
	p := binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(message)))
	p = append(p, protocol, 255)
	source, destination := netip.MustParseAddr("fe80::1").As16(), netip.MustParseAddr("ff12::81").As16()
	return append(append(append(p, source[:]...), destination[:]...), message...)
}

// UDP puts a UDP header before a message, from and to the same port.
func UDP(port uint16, message []byte) []byte {
	p := binary.BigEndian.AppendUint16(nil, port)
	p = binary.BigEndian.AppendUint16(p, port)
	p = binary.BigEndian.AppendUint16(p, uint16(8+len(message)))
	return IP(17, append(append(p, 0, 0), message...))
}
