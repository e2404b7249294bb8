package vrrp

import "testing"

func TestLinesOfKeepalived(t *testing.T) {
	for _, tt := range []struct {
		line string
		kind kind
		name string
		role Role
	}{
		{`INSTANCE "VI_1" MASTER 100`, role, "VI_1", Master},
		{`INSTANCE "VI_1" BACKUP 100`, role, "VI_1", Backup},
		{`INSTANCE "VI_1" FAULT 100`, role, "VI_1", Fault},
		{`INSTANCE "VI_1" STOP 100`, role, "VI_1", None},
		{`INSTANCE "VI_1" DELETED 100`, role, "VI_1", None},
		{`INSTANCE "VI_1" MASTER`, role, "VI_1", Master},
		{`INSTANCE "of the first rack" MASTER 100`, role, "of the first rack", Master},
		{`INSTANCE "a "quoted" one" MASTER 100`, role, `a "quoted" one`, Master},
		{`INSTANCE "" MASTER 100`, role, "", Master}, // refused where it is set

		{`INSTANCE "VI_1" MASTER_RX_LOWER_PRI 100`, other, "", None},
		{`INSTANCE "VI_1" MASTER_PRIORITY 120`, other, "", None},
		{`INSTANCE "VI_1" BACKUP_PRIORITY 120`, other, "", None},
		{`GROUP "VG_1" MASTER 0`, other, "", None},
		{`VS [192.0.2.80]:tcp:80 UP`, other, "", None},
		{`RS [198.51.100.1]:tcp:80 [192.0.2.80]:tcp:80 DOWN`, other, "", None},

		{``, unknown, "", None},
		{`MASTER`, unknown, "", None},
		{`INSTANCE`, unknown, "", None},
		{`INSTANCE "VI_1"`, unknown, "", None},
		{`INSTANCE "VI_1`, unknown, "", None},
		{`INSTANCE VI_1 MASTER 100`, unknown, "", None},
		{`INSTANCE VI_1" MASTER 100`, unknown, "", None},
		{`INSTANCE "VI_1" master 100`, unknown, "", None},
		{`INSTANCE "VI_1" MASTER 100 200`, unknown, "", None},
		{`instance "VI_1" MASTER 100`, unknown, "", None},
	} {
		if k, name, r := parse(tt.line); k != tt.kind || name != tt.name || r != tt.role {
			t.Errorf("%s: %d %q %v, want %d %q %v", tt.line, k, name, r, tt.kind, tt.name, tt.role)
		}
	}
}
