package vm

import (
	"slices"
	"strings"
	"testing"
)

func TestTroubleIsFoundOnTheConsole(t *testing.T) {
	for _, line := range []string{
		"[    1.2] WARNING: CPU: 0 PID: 1 at net/netfilter/ipvs/ip_vs_conn.c:123 ip_vs_conn_put+0x10/0x20 [ip_vs]",
		"[    1.2] WARNING: possible circular locking dependency detected",
		"[    1.2] BUG: kernel NULL pointer dereference, address: 0000000000000000",
		"[    1.2] BUG: KASAN: use-after-free in ssyncp_read+0x1/0x2 [ssyncp]",
		"[    1.2] Oops: 0002 [#1] PREEMPT SMP NOPTI",
		"[    1.2] general protection fault, probably for non-canonical address 0xdead000000000100",
		"[    1.2] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
		"[    1.2] INFO: task ssyncpd:42 blocked for more than 120 seconds.",
		"[    1.2] refcount_t: underflow; use-after-free.",
		"[    1.2] list_del corruption. next->prev should be ffff, but was 0",
		"[    1.2] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
		"[    1.2] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [ssyncpd:42]",
		"[    1.2] unregister_netdevice: waiting for front to become free. Usage count = 2",
		"[    1.2] Kernel panic - not syncing: Fatal exception in interrupt",
		"[    1.2] ssyncpd[42]: segfault at 0 ip 0 sp 0 error 14",
		"[    1.2] Out of memory: Killed process 42 (ssyncpd)",
	} {
		found := findTrouble("[    1.0] before\n" + line + "\n[    1.3] after\n")
		if len(found) < 2 || found[0] != line || found[1] != "[    1.3] after" {
			t.Errorf("of %q this was found: %q", line, found)
		}
	}
}

func TestAnOrdinaryConsoleHasNoTrouble(t *testing.T) {
	console := strings.Join([]string{
		"[    0.0] Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2",
		"[    0.2] kcsan: non-strict mode configured - use CONFIG_KCSAN_STRICT=y to see all data races",
		"[    0.4] DEBUG_INFO_BTF is set",
		"[    2.9] ssyncp: loading out-of-tree module taints kernel.",
		"[    2.9] ssyncp: module verification failed: signature and/or required key missing - tainting kernel",
		"[    3.2] reboot: Power down",
	}, "\n")
	if found := findTrouble(console); found != nil {
		t.Errorf("found %q", found)
	}
}

func TestDataRacesAreOursWhereAFrameIs(t *testing.T) {
	report := func(first, second string) []string {
		return []string{
			"[    1.2] ==================================================================",
			"[    1.2] BUG: KCSAN: data-race in " + first + " / " + second,
			"[    1.2] ",
			"[    1.2] write to 0xffff888003c0c0e8 of 2 bytes by interrupt on cpu 1:",
			"[    1.2]  " + first,
			"[    1.2]  ip_vs_in_hook+0x7a0/0xc90 [ip_vs]",
			"[    1.2] ",
			"[    1.2] read to 0xffff888003c0c0e8 of 2 bytes by task 42 on cpu 0:",
			"[    1.2]  " + second,
			"[    1.2] ",
			"[    1.2] Reported by Kernel Concurrency Sanitizer on:",
			"[    1.2] ==================================================================",
		}
	}
	foreign := report("tcp_state_transition+0x1/0x2 [ip_vs]", "ip_vs_conn_seq_show+0x1/0x2 [ip_vs]")
	ours := report("tcp_state_transition+0x1/0x2 [ip_vs]", "ssyncp_record_build+0x1/0x2 [ssyncp]")
	text := func(parts ...[]string) string {
		var all []string
		for _, part := range parts {
			all = append(all, part...)
		}
		return strings.Join(all, "\n")
	}
	if found := findTrouble(text(foreign, foreign)); found != nil {
		t.Errorf("races of IPVS alone: found %q", found)
	}
	if found := findTrouble(text(foreign, ours, foreign)); len(found) == 0 || found[0] != ours[1] {
		t.Errorf("one of ours between them: found %q", found)
	}
	// A report that does not end is not passed over.
	if found := findTrouble(text(foreign[:5], []string{"[    1.3] Oops: 0002 [#1]"})); found == nil {
		t.Error("nothing found behind a report that was cut off")
	}
}

func TestMemoryThatATestTookAwayIsNoTrouble(t *testing.T) {
	begin, end := "[    1.1] "+FaultsBegin, "[    1.9] "+FaultsEnd
	report := []string{
		"[    1.2] guest.test: vmalloc error: size 262144, vm_struct allocation failed, mode:0x400cc0(GFP_KERNEL_ACCOUNT)",
		"[    1.2] CPU: 0 PID: 42 Comm: guest.test Not tainted 6.1.192-debug #1",
		"[    1.2] Call Trace:",
		"[    1.2]  <TASK>",
		"[    1.2]  warn_alloc.cold+0x1/0x2",
		"[    1.2]  </TASK>",
		"[    1.2] Mem-Info:",
		"[    1.2] kmemleak: Cannot allocate a scan area, scanning the full object",
	}
	oops := []string{"[    1.3] Oops: 0002 [#1]"}
	tests := []struct {
		name    string
		console [][]string
		trouble bool
	}{
		{"between the lines", [][]string{{begin}, report, report, {end}}, false},
		{"without them", [][]string{report}, true},
		{"behind them", [][]string{{begin}, report, {end}, report}, true},
		{"something else between them", [][]string{{begin}, report, oops, {end}}, true},
		{"something else behind a report that is cut off", [][]string{{begin}, report[:3], {end}, oops}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found := findTrouble(strings.Join(slices.Concat(test.console...), "\n"))
			if (found != nil) != test.trouble {
				t.Errorf("found %q", found)
			}
		})
	}
}
