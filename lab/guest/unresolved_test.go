package guest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// In a kernel whose ip_vs has no function of a name, only what needs that one
// is refused. Such a kernel is made of this one: by another name in the symbol
// table of its ip_vs.ko.
func TestInjectRefusesWhatIsUnresolved(t *testing.T) {
	file, err := exec.Command("/sbin/modinfo", "-n", "ip_vs").Output()
	path := strings.TrimSpace(string(file))
	if err != nil || !exists(path) {
		t.Skip("ip_vs is built in")
	}
	const find, template, pe = "ip_vs_find_dest", "ip_vs_ct_in_get", "__ip_vs_pe_getbyname"
	for _, test := range []struct {
		name               string
		without            string
		missing            chardev.Missing
		conn, template, pe bool // is refused for that
	}{
		{"real servers", find, chardev.MissingFindDest, true, true, false}, // the engine is looked for first
		{"templates", template, chardev.MissingCtInGet, false, true, true},
		{"persistence engines", pe, chardev.MissingPEGetByName, false, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			loadIPVSWithout(t, path, test.without)
			in := newInjection(t)
			if stats := in.Stats(t); stats.Missing&test.missing == 0 {
				t.Errorf("missing: %v, want %v", stats.Missing, test.missing)
			}
			engine := in.template()
			engine.PEName, engine.PEData = "none", []byte("call-id")
			for _, record := range []struct {
				conn    ipvs.Conn
				refused bool
			}{{in.established(natPort, ipvs.Masquerade), test.conn}, {in.template(), test.template}, {engine, test.pe}} {
				refused := inject(t, in.device, record.conn)
				if is := refused[0] == chardev.RefusedUnresolved && len(refused) == 1; is != record.refused {
					t.Errorf("%v: refused %v, want unresolved: %t", &record.conn, refused, record.refused)
				}
			}
		})
	}
}

// loadIPVSWithout has an ip_vs loaded, until the end of the test, whose symbol
// table has another name for a function.
func loadIPVSWithout(t *testing.T, path, symbol string) {
	t.Helper()
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	module = withoutSignature(module)
	renameSymbol(t, module, symbol)
	other := filepath.Join(t.TempDir(), "ip_vs.ko")
	if err := os.WriteFile(other, module, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unloadIPVS(t)
		if out, err := modprobe("-a", ipvsModules...); err != nil {
			t.Fatalf("modprobe: %v\n%s", err, out)
		}
	})
	unloadIPVS(t)
	if out, err := exec.Command("/sbin/insmod", other).CombinedOutput(); err != nil {
		t.Fatalf("insmod: %v\n%s", err, out)
	}
}

// unloadIPVS unloads ip_vs and all that uses it, when the last namespace is gone.
func unloadIPVS(t *testing.T) {
	t.Helper()
	var said []byte
	eventually(t, time.Minute, func() bool {
		users, err := filepath.Glob("/sys/module/ip_vs/holders/*")
		if err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, user := range users {
			names = append(names, filepath.Base(user))
		}
		said, err = exec.Command("/sbin/rmmod", append(names, "ip_vs")...).CombinedOutput()
		return err == nil || !exists("/sys/module/ip_vs")
	}, "IPVS cannot be unloaded")
	if t.Failed() {
		t.Fatalf("%s", said)
	}
}

// withoutSignature cuts off the signature behind a module, which would not fit
// what is changed in it. The module's length is in its last fields.
func withoutSignature(module []byte) []byte {
	const magic, fields = "~Module signature appended~\n", 12
	signed, is := bytes.CutSuffix(module, []byte(magic))
	if !is || len(signed) < fields {
		return module
	}
	length := int(binary.BigEndian.Uint32(signed[len(signed)-4:]))
	return signed[:max(len(signed)-fields-length, 0)]
}

// renameSymbol changes the first letter of a function's name.
func renameSymbol(t *testing.T, module []byte, name string) {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		t.Fatal(err)
	}
	table := file.SectionByType(elf.SHT_SYMTAB)
	if table == nil || int(table.Link) >= len(file.Sections) {
		t.Fatal("ip_vs.ko has no symbols")
	}
	names := file.Sections[table.Link]
	entries, err := table.Data()
	if err != nil {
		t.Fatal(err)
	}
	for ; len(entries) >= elf.Sym64Size; entries = entries[elf.Sym64Size:] {
		at := int(names.Offset) + int(binary.LittleEndian.Uint32(entries))
		if at+len(name) < len(module) && string(module[at:at+len(name)+1]) == name+"\x00" {
			module[at] = 'x'
			return
		}
	}
	t.Fatalf("ip_vs.ko has no %s", name)
}
