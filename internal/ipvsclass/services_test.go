package ipvsclass_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
)

// table is what the kernel shows of five services.
const table = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0000250:1F40 rr  persistent 360 FFFFFFFF
  -> 0A000216:1F40      Masq    1      0          0         
  -> 0A000215:1F40      Masq    1      12         3         
UDP  C0000250:0035 wrr ops 
TCP  [2001:0db8:0000:0000:0000:0000:0000:0050]:0050 sh 
  -> [fd00:0000:0000:0000:0000:0000:0000:0001]:0050      Route   1      0          0         
FWM  00000009 rr 
  -> 0A000217:0000      Tunnel  1      0          0         
`

func TestServicesAreToldByTheirNames(t *testing.T) {
	replaced := func(old, by string) string {
		if !strings.Contains(table, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(table, old, by, 1)
	}
	for _, tt := range []struct {
		name  string
		table string
		same  bool
	}{
		{"nothing", table, true},
		{"connections", replaced("12         3 ", "13         2 "), true},
		{"a weight", replaced("Masq    1      12", "Masq    0      12"), true},
		{"a scheduler", replaced("sh ", "lc "), true},
		{"a service", table + "TCP  C0000251:1F40 rr  \n", false},
		{"a service by another mark", replaced("00000009", "0000000A"), false},
		{"another port", replaced("C0000250:0035", "C0000250:0036"), false},
		{"another protocol", replaced("UDP  C0000250", "TCP  C0000250"), false},
		{"a real server", table + "  -> 0A000218:0000      Tunnel  1      0          0         \n", false},
		{"a real server of another service", replaced("UDP  C0000250:0035 wrr ops \n", "UDP  C0000250:0035 wrr ops \n  -> 0A000216:1F40      Masq    1      0          0         \n"), false},
		{"a real server of IPv6", replaced("0001]:0050", "0002]:0050"), false},
		{"no services", table[:strings.Index(table, "TCP")], false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(new(chardevtest.Module))
			o.ServiceTable = filepath.Join(t.TempDir(), "ip_vs")
			objects := openObjects(t, o)
			fingerprint := func(content string) uint64 {
				t.Helper()
				if err := os.WriteFile(o.ServiceTable, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				n, err := objects.Services()
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			before, after := fingerprint(table), fingerprint(tt.table)
			if same := before == after; same != tt.same {
				t.Errorf("%x, then %x", before, after)
			}
		})
	}
}

func TestServicesThatCannotBeRead(t *testing.T) {
	o := options(new(chardevtest.Module))
	o.ServiceTable = filepath.Join(t.TempDir(), "ip_vs")
	objects := openObjects(t, o)
	if _, err := objects.Services(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for _, content := range []string{"", "\n", "something else\n", "IP Virtual Server version 1.2.1" + strings.Repeat("x", 1<<16)} {
		if err := os.WriteFile(o.ServiceTable, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := objects.Services(); err == nil || len(content) < 100 && !errors.Is(err, ipvsclass.ErrServiceTable) {
			t.Errorf("%.20q: %v", content, err)
		}
	}
}
