package guest

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A record of a family that IPVS does not have is refused. No program that uses
// the package can write one.
func TestInjectRefusesFamilies(t *testing.T) {
	in := newInjection(t)
	const offsetFamily, offsetDestFamily = 4, 5
	for name, change := range map[string]func([]byte){
		"no family":                       func(r []byte) { r[offsetFamily] = unix.AF_UNSPEC },
		"another family":                  func(r []byte) { r[offsetFamily] = unix.AF_PACKET },
		"a family that does not exist":    func(r []byte) { r[offsetFamily] = 255 },
		"no family, of the real server":   func(r []byte) { r[offsetDestFamily] = unix.AF_UNSPEC },
		"another one, of the real server": func(r []byte) { r[offsetDestFamily] = unix.AF_UNIX },
	} {
		t.Run(name, func(t *testing.T) {
			bad, good := in.established(natPort, ipvs.Masquerade), in.established(natPort, ipvs.Masquerade)
			record, err := chardev.AppendRecord(nil, &bad)
			if err != nil {
				t.Fatal(err)
			}
			change(record)
			if record, err = chardev.AppendRecord(record, &good); err != nil {
				t.Fatal(err)
			}
			before := in.Stats(t)
			if n, err := in.device.Write(record); n != len(record) || err != nil {
				t.Fatalf("wrote %d bytes of %d: %v", n, len(record), err)
			}
			list, err := in.device.Refusals(nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) != 1 || list[0].Index != 0 || list[0].Reason != chardev.RefusedFamily {
				t.Errorf("refused %v, want record 0 for its family", list)
			}
			after := in.Stats(t)
			if after.Refused(chardev.RefusedFamily) != before.Refused(chardev.RefusedFamily)+1 || after.ConnCount != before.ConnCount+1 {
				t.Error("not counted, or the record behind it was not applied")
			}
		})
	}
}
